//! What the proxy knows of the server's tools. A test compares it with the server's list.

/// A tool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it writes. Each write gets a `request_id`, so that it may be sent again.
    pub(crate) writes: bool,
    /// What a session is to it.
    pub(crate) session: TakesSession,
}

impl Tool {
    /// Whether anything is ever filled in.
    pub(crate) fn takes_what_is_filled_in(&self) -> bool {
        self.writes || self.session != TakesSession::Unfilled
    }
}

/// What a session is to a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakesSession {
    /// Nothing, or a filter, or a change of the row: it is left to the client.
    Unfilled,
    /// The tool works in it.
    Own,
    /// The tool works in it, and servers of older versions refuse it.
    OwnIfListed,
    /// Each todo of the tool may have one.
    OfEachTodo,
}

/// All tools.
static TOOLS: [Tool; 10] = [
    reads("work_brief", TakesSession::OwnIfListed),
    writes("claim_todo", TakesSession::Own),
    reads("list_todos", TakesSession::Unfilled),
    reads("get_item", TakesSession::Unfilled),
    writes("add_todos", TakesSession::OfEachTodo),
    writes("update_todo", TakesSession::Unfilled),
    writes("log_activity", TakesSession::Own),
    writes("start_session", TakesSession::Unfilled),
    writes("end_session", TakesSession::Own),
    reads("search_work", TakesSession::Unfilled),
];

const fn reads(name: &'static str, session: TakesSession) -> Tool {
    Tool { name, writes: false, session }
}

const fn writes(name: &'static str, session: TakesSession) -> Tool {
    Tool { name, writes: true, session }
}

/// The tool of this name, if it is known.
pub(crate) fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

#[cfg(test)]
mod tests {
    use roots_client::{Client, RawRequest};
    use roots_testkit::app::TestApp;
    use roots_testkit::database::TestDatabase;
    use serde_json::{Value, json};

    use super::*;

    /// The tools as the server lists them.
    async fn listed() -> Vec<Value> {
        let app = TestApp::start(TestDatabase::sqlite().await, 0).await;
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
        let request = RawRequest::post("/mcp", list.to_string())
            .header("Accept", "application/json, text/event-stream")
            .unwrap()
            .header("MCP-Protocol-Version", "2025-11-25")
            .unwrap();
        let client = Client::new(&app.address, app.key()).unwrap();
        let answer = client.send_raw(request).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        match answer["result"]["tools"].take() {
            Value::Array(tools) => tools,
            other => panic!("{other}: {answer}"),
        }
    }

    #[tokio::test]
    async fn the_tools_are_those_that_the_server_lists() {
        let listed = listed().await;
        let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, TOOLS.each_ref().map(|tool| tool.name));
        for (tool, listed) in TOOLS.iter().zip(&listed) {
            let name = tool.name;
            let takes = |argument: &str| listed["inputSchema"]["properties"].get(argument);
            assert_eq!(listed["annotations"]["readOnlyHint"], !tool.writes, "{name}");
            assert_eq!(takes("request_id").is_some(), tool.writes, "{name}");
            let todos = takes("todos").map(|todos| &todos["items"]["properties"]["session_id"]);
            let is_of_each = todos.is_some_and(|session| !session.is_null());
            assert_eq!(tool.session == TakesSession::OfEachTodo, is_of_each, "{name}");
            // A filter and a change of the row are left to the client.
            let is_chosen = ["list_todos", "update_todo", "search_work"].contains(&name);
            let expected = match (takes("session_id").is_some(), is_chosen) {
                _ if tool.session == TakesSession::OwnIfListed => TakesSession::OwnIfListed,
                _ if is_of_each => TakesSession::OfEachTodo,
                (true, false) => TakesSession::Own,
                (true, true) | (false, false) => TakesSession::Unfilled,
                (false, true) => panic!("{name} takes no session any more"),
            };
            assert_eq!(tool.session, expected, "{name}");
        }
    }
}
