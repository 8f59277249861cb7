//! The compiled program, run in a temporary folder. For the tests of `roots-server`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]
#![expect(
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "tests start programs for what they do"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::http_client;
use crate::cluster::ClusterDatabase;
use crate::connection::connect;
use crate::database::TestDatabase;

/// How long a test waits for an event before it fails. A busy machine takes less.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Calls `look` every 10 ms until it returns a value. Panics after two minutes.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits for a future, such as a read from a socket. Panics after two minutes.
pub async fn in_time<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, event).await {
        Ok(found) => found,
        Err(elapsed) => panic!("waited in vain for {what}: {elapsed}"),
    }
}

/// The program, which Cargo builds for the tests of its own crate.
fn program() -> PathBuf {
    let built = std::env::var_os("CARGO_BIN_EXE_roots-server");
    built.expect("a test of roots-server, run by Cargo").into()
}

/// A folder that the program runs in.
pub struct WorkFolder {
    folder: TempDir,
    database_url: Option<String>,
    /// The database on each node, if the tests run on a cluster. It is dropped with this value.
    pub cluster: Option<ClusterDatabase>,
}

impl WorkFolder {
    /// An empty folder. Its database is a SQLite file inside it.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database_url: None, cluster: None }
    }

    /// An empty folder for a program that uses the database of this URL.
    pub fn on(database_url: String) -> Self {
        Self { database_url: Some(database_url), ..Self::new() }
    }

    /// An empty folder for a program that uses a new PostgreSQL database.
    pub async fn on_postgres() -> Self {
        let database = TestDatabase::postgres().await;
        database.store.close().await;
        Self { cluster: database.cluster, ..Self::on(database.url) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file with the first operator's keys.
    pub fn operator_file(&self) -> PathBuf {
        self.path().join("roots-operator.txt")
    }

    /// The URL of the database, with an absolute path if it is a file.
    pub fn database_url(&self) -> String {
        let own = || format!("sqlite://{}?mode=rwc", self.path().join("data/roots.db").display());
        self.database_url.clone().unwrap_or_else(own)
    }

    /// The program with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args);
        self.prepared(command)
    }

    /// The command, set to run in this folder. It inherits no environment variables.
    pub fn prepared(&self, mut command: Command) -> Command {
        command
            .current_dir(self.path())
            .env_clear()
            .env("ROOTS_BIND", "127.0.0.1:0")
            .env("ROOTS_LOG_FORMAT", "json")
            .env("ROOTS_RATE_LIMIT_PER_MINUTE", "0")
            .env("ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE", "0")
            .env("ROOTS_KEY_CHANGES_PER_HOUR", "0")
            .env("ROOTS_SEARCHES_PER_MINUTE", "0")
            .env("ROOTS_DATABASE_URL", self.database_url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program with these arguments until it exits.
    pub fn run(&self, args: &[&str]) -> Output {
        finish(self.command(args))
    }

    /// Creates an account with `roots-server bootstrap`. Returns its API key and recovery code.
    pub fn bootstrap(&self, more: &[&str]) -> (String, String) {
        let args = ["bootstrap", "--account-name", "Acme", "--actor-name", "Ada"];
        let output = self.run(&[&args[..], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        let secret = |name: &str| made[name].as_str().unwrap().to_owned();
        (secret("api_key"), secret("recovery_code"))
    }

    /// Starts the program as a server and waits until it listens.
    pub fn serve(&self) -> Server {
        Server::start(self.command(&[]))
    }

    /// The API key in the operator file.
    pub fn operator_key(&self) -> String {
        let text = fs::read_to_string(self.operator_file()).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("ROOTS_API_KEY="));
        key.unwrap().to_owned()
    }

    /// A connection to the database that bypasses the program.
    pub async fn database(&self) -> DatabaseConnection {
        connect(&self.database_url()).await
    }

    /// The number of accounts.
    pub async fn accounts(&self) -> i64 {
        self.count("accounts").await
    }

    /// The number of rows of a table. `table` may end with a WHERE clause.
    pub async fn count(&self, table: &str) -> i64 {
        let db = self.database().await;
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await;
        let count = row.unwrap().unwrap().try_get_by_index(0).unwrap();
        db.close().await.unwrap();
        count
    }
}

/// Runs a command until it exits. Kills it and panics after two minutes.
pub fn finish(mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    let read = |mut pipe: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let status = end_of(&mut child);
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn end_of(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The permissions of a file.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// The program as a server. It is killed on drop.
pub struct Server {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
    /// Where it listens: a host and a port.
    pub address: String,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub fn start(command: Command) -> Self {
        let mut server = Self::spawn(command);
        server.wait_until_it_listens();
        server
    }

    /// Waits until the server listens. Panics if it ends before.
    pub fn wait_until_it_listens(&mut self) {
        self.address = wait_for("the server to listen", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server has ended: {status}: {:?}", self.log());
            }
            let line = self.logged("listening").pop()?;
            Some(line["address"].as_str().unwrap().to_owned())
        });
    }

    /// Starts a server without waiting until it listens.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                let line = line.unwrap();
                // The error message at the end is not JSON.
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, log, reader: Some(reader), address: String::new() }
    }

    /// The lines that the server has logged so far.
    pub fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// The logged lines whose message starts with `message`.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let begins =
            |line: &Value| line["message"].as_str().is_some_and(|m| m.starts_with(message));
        let mut lines = self.log();
        lines.retain(begins);
        lines
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Opens a connection to the server. A read fails after two minutes.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Whether the process has exited. Its id is then free, so it must get no more signals.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal to the process, which must not have been waited for.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until the process exits and its last log line is read.
    pub fn end(&mut self) -> ExitStatus {
        let status = end_of(&mut self.child);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Stops the server with SIGTERM, expects exit code 0 and returns the whole log.
    pub fn stop(mut self) -> Vec<Value> {
        self.signal(Signal::SIGTERM);
        let status = self.end();
        assert!(status.success(), "{status}: {:?}", self.log());
        self.log()
    }

    /// A client that sends this key.
    pub fn client(&self, key: &str) -> Api {
        let client = http_client().timeout(PATIENCE).build().unwrap();
        Api { client, base: format!("http://{}", self.address), key: key.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the API that sends one API key.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    key: String,
}

impl Api {
    /// A GET of a path.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).header("X-API-Key", &self.key)
    }

    /// A POST to a path.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).header("X-API-Key", &self.key).json(body)
    }

    /// A request to a path.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("X-API-Key", &self.key)
    }

    /// Erases the account and expects 200.
    pub async fn erase(&self, recovery_code: &str) {
        let url = format!("{}/api/v1/accounts/me", self.base);
        let asked = self.client.delete(url).header("X-API-Key", &self.key);
        let answer = asked.json(&json!({ "recovery_code": recovery_code })).send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, StatusCode::OK, "{}", answer.text().await.unwrap());
    }

    /// Reads a path and expects 200.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Logs an activity with this text. Returns whether a complete 201 came back.
    pub async fn log_activity(&self, text: &str) -> bool {
        let body = json!({ "description": text, "activity_type": "load" });
        let sent = self.post("/api/v1/activities", &body).send().await;
        match sent {
            Ok(answer) => {
                let is_created = answer.status() == StatusCode::CREATED;
                answer.bytes().await.is_ok() && is_created
            }
            Err(_) => false,
        }
    }

    /// Logs an activity whose idempotency key and text are `name`. If a complete 201 came back,
    /// returns whether it was a replay.
    pub async fn log_named(&self, name: &str) -> Option<bool> {
        let post = self.post("/api/v1/activities", &json!({ "description": name }));
        let answer = post.header("Idempotency-Key", name).send().await.ok()?;
        let is_created = answer.status() == StatusCode::CREATED;
        let is_replay = answer.headers().contains_key("idempotent-replayed");
        let is_whole = answer.bytes().await.is_ok();
        (is_created && is_whole).then_some(is_replay)
    }

    /// Imports a file. Returns the numbers of new and of already imported rows, or `None` if the
    /// request failed.
    pub async fn import(&self, file: String) -> Option<(i64, i64)> {
        let post = self.client.post(format!("{}/api/v1/import", self.base));
        let post =
            post.header("X-API-Key", &self.key).header("Content-Type", "application/x-ndjson");
        let report: Value = post.body(file).send().await.ok()?.json().await.ok()?;
        assert_eq!(report["faulty"], 0, "{report}");
        let imported = report["imported"].as_object().unwrap().values();
        let new = imported.map(|count| count.as_i64().unwrap()).sum();
        Some((new, report["already_imported"].as_i64().unwrap()))
    }

    /// The descriptions of all activities, newest first.
    pub async fn activities(&self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let path = format!("/api/v1/activities?limit=100&offset={}", texts.len());
            let page = self.read(&path).await;
            let rows = page["activities"].as_array().unwrap();
            if rows.is_empty() {
                return texts;
            }
            texts.extend(rows.iter().map(|row| row["description"].as_str().unwrap().to_owned()));
        }
    }
}
