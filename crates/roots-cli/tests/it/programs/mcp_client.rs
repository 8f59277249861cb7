//! A client of `roots mcp`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_server::{Reply, Request};
use super::world::{World, run, text};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The command with a patience that a busy machine does not exhaust.
pub(crate) const PATIENT: [&str; 3] = ["mcp", "--away-after-ms", "60000"];
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A call of a tool.
pub(crate) fn call(id: i64, tool: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {
            "name": tool, "arguments": arguments,
            "_meta": { VERSION: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} },
        },
    })
}

/// What a tool gave.
pub(crate) fn result(request: &Request, content: &Value) -> Reply {
    Reply::json(
        200,
        &json!({
            "jsonrpc": "2.0", "id": request.body["id"],
            "result": { "content": [], "structuredContent": content },
        }),
    )
}

/// Feeds all lines at once and takes all answers. Anything that is no message fails the test.
pub(crate) fn exchange(world: &World, url: &str, lines: &[Value]) -> Vec<Value> {
    let input: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let output = run(&mut world.roots(url, &PATIENT), &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answers = text(&output.stdout);
    answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The command while it runs.
pub(crate) struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(world: &World, url: &str) -> Self {
        Self::of(world.roots(url, &PATIENT))
    }

    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    pub(crate) fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    pub(crate) fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// Sends a call, and takes its answer.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.send(&call(1, tool, arguments));
        self.next()
    }

    /// Ends the input, and takes what is still answered.
    pub(crate) fn finish(self) -> Vec<Value> {
        let Self { mut child, stdin, lines } = self;
        drop(stdin);
        let rest = lines.iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
        assert!(child.wait().unwrap().success());
        rest
    }
}

/// A tool that refuses, with this text.
pub(crate) fn refused(request: &Request, text: &str) -> Reply {
    let result = json!({"content": [{"type": "text", "text": text}], "isError": true});
    Reply::json(200, &json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result}))
}

/// The tool that a request calls.
pub(crate) fn tool(request: &Request) -> &str {
    request.body["params"]["name"].as_str().unwrap_or_default()
}

/// The arguments of the tool that a request calls.
pub(crate) fn arguments(request: &Request) -> &Value {
    &request.body["params"]["arguments"]
}
