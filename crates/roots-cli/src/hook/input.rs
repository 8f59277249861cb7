//! What a program tells its hook on standard input.
//!
//! Claude Code, Codex and Gemini CLI share the names of the events and fields that matter here.
//! Cursor writes event names in camel case and calls folders differently.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

/// What happened in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A session starts, or goes on after it was resumed, cleared or compacted.
    Start(ProgramSession, Dialect),
    /// A session ended.
    End(ProgramSession),
    /// Something that Roots takes no part in.
    Other,
}

/// A session of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramSession {
    /// The id that the program gave it.
    pub(crate) id: String,
    /// The folder that it works in.
    pub(crate) folder: Option<PathBuf>,
}

/// How the program wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As Claude Code, Codex and Gemini CLI do.
    Claude,
    /// As Cursor does.
    Cursor,
}

/// The fields that matter. A program may leave out or add any other.
#[derive(Deserialize)]
struct Input {
    hook_event_name: String,
    session_id: Option<String>,
    conversation_id: Option<String>,
    cwd: Option<PathBuf>,
    workspace_roots: Option<Vec<PathBuf>>,
    /// Given for subagents alone.
    agent_id: Option<String>,
}

impl Event {
    /// Reads the input of a hook. What can't be read is no event.
    pub(crate) fn parse(input: &[u8]) -> Self {
        let Ok(input) = serde_json::from_slice::<Input>(input) else { return Self::Other };
        let id = input.session_id.or(input.conversation_id).filter(|id| !id.is_empty());
        let (Some(id), None) = (id, input.agent_id) else { return Self::Other };
        let folder = input.cwd.or_else(|| input.workspace_roots?.into_iter().next());
        let session = ProgramSession { id, folder };
        match input.hook_event_name.as_str() {
            "SessionStart" => Self::Start(session, Dialect::Claude),
            "sessionStart" => Self::Start(session, Dialect::Cursor),
            "SessionEnd" | "sessionEnd" => Self::End(session),
            _ => Self::Other,
        }
    }
}

impl Dialect {
    /// The answer that gives the agent this text.
    pub(crate) fn answer(self, text: &str) -> Value {
        match self {
            Self::Claude => json!({
                "hookSpecificOutput": {
                    "hookEventName": "SessionStart",
                    "additionalContext": text,
                }
            }),
            Self::Cursor => json!({ "additional_context": text }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, folder: &str) -> ProgramSession {
        ProgramSession { id: id.to_owned(), folder: Some(folder.into()) }
    }

    #[test]
    fn the_documented_inputs_of_each_program_are_understood() {
        for (input, expected) in [
            // Claude Code
            (
                json!({
                    "session_id": "abc123", "transcript_path": "/home/me/.claude/projects/p/1.jsonl",
                    "cwd": "/home/me/work", "hook_event_name": "SessionStart", "source": "startup",
                    "model": "claude-sonnet-4-6",
                }),
                Event::Start(session("abc123", "/home/me/work"), Dialect::Claude),
            ),
            (
                json!({
                    "session_id": "abc123", "transcript_path": "/home/me/.claude/projects/p/1.jsonl",
                    "cwd": "/home/me/work", "hook_event_name": "SessionEnd", "reason": "other",
                }),
                Event::End(session("abc123", "/home/me/work")),
            ),
            // Codex
            (
                json!({
                    "session_id": "0199", "transcript_path": null, "cwd": "/w", "model": "gpt-5.2",
                    "permission_mode": "default", "hook_event_name": "SessionStart",
                    "source": "compact",
                }),
                Event::Start(session("0199", "/w"), Dialect::Claude),
            ),
            // Gemini CLI
            (
                json!({
                    "session_id": "g1", "transcript_path": "/t.json", "cwd": "/w",
                    "hook_event_name": "SessionStart", "timestamp": "2026-11-29T12:00:00Z",
                    "source": "clear",
                }),
                Event::Start(session("g1", "/w"), Dialect::Claude),
            ),
            (
                json!({
                    "session_id": "g1", "transcript_path": "/t.json", "cwd": "/w",
                    "hook_event_name": "SessionEnd", "timestamp": "2026-11-29T12:00:00Z",
                    "reason": "exit",
                }),
                Event::End(session("g1", "/w")),
            ),
            // Cursor
            (
                json!({
                    "conversation_id": "c1", "generation_id": "g", "session_id": "c1",
                    "hook_event_name": "sessionStart", "cursor_version": "2.4.0",
                    "workspace_roots": ["/w", "/v"], "user_email": null,
                    "is_background_agent": false, "composer_mode": "agent",
                }),
                Event::Start(session("c1", "/w"), Dialect::Cursor),
            ),
            (
                json!({
                    "conversation_id": "c1", "hook_event_name": "sessionEnd",
                    "workspace_roots": ["/w"], "reason": "completed", "duration_ms": 45000,
                }),
                Event::End(session("c1", "/w")),
            ),
        ] {
            assert_eq!(Event::parse(input.to_string().as_bytes()), expected, "{input}");
        }
    }

    #[test]
    fn subagents_and_other_events_are_left_alone() {
        for input in [
            json!({"hook_event_name": "SubagentStart", "session_id": "a", "agent_id": "x"}),
            json!({"hook_event_name": "SessionStart", "session_id": "a", "agent_id": "x"}),
            json!({"hook_event_name": "PreToolUse", "session_id": "a", "tool_name": "Bash"}),
            json!({"hook_event_name": "SessionStart"}),
            json!({"hook_event_name": "SessionStart", "session_id": ""}),
            json!({"session_id": "a"}),
            json!([]),
            json!(null),
        ] {
            assert_eq!(Event::parse(input.to_string().as_bytes()), Event::Other, "{input}");
        }
        assert_eq!(Event::parse(b""), Event::Other);
        assert_eq!(Event::parse(b"\xff{"), Event::Other);
    }

    #[test]
    fn a_session_run_as_an_agent_of_its_own_is_no_subagent() {
        let input = json!({
            "hook_event_name": "SessionStart", "session_id": "a", "cwd": "/w",
            "agent_type": "reviewer",
        });
        let event = Event::parse(input.to_string().as_bytes());
        assert_eq!(event, Event::Start(session("a", "/w"), Dialect::Claude));
    }
}
