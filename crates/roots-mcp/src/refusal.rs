//! Problems as agents read them: everything in one text, because clients drop the rest of an error.

use std::fmt::Write;

use roots_http_core::problem::{Problem, ProblemKind};

/// The name of the field if the arguments are wrong as a whole.
const WHOLE: &str = "body";

/// The text of a refusal: its code, what is wrong, every error, and what to do next.
pub(crate) fn text(problem: &Problem) -> String {
    let kind = problem.kind();
    let mut text = kind.slug().to_owned() + ": ";
    let errors = problem.errors();
    if errors.is_empty() {
        text.push_str(problem.detail());
    } else {
        text.push_str("The arguments are not valid.");
        for error in errors {
            let field = if error.field == WHOLE { "arguments" } else { &error.field };
            // Most messages continue a sentence that begins with the field.
            let is_sentence = error.message.starts_with(char::is_uppercase);
            let colon = if is_sentence { ":" } else { "" };
            let _ = write!(text, "\n- {field}{colon} {}", error.message);
        }
    }
    text.push('\n');
    match problem.retry_seconds() {
        Some(seconds) if !is_unknown(kind) => {
            let _ = write!(text, "Nothing was done. Call again in {seconds} s.");
        }
        _ => text.push_str(next(kind)),
    }
    text
}

const fn is_unknown(kind: ProblemKind) -> bool {
    matches!(kind, ProblemKind::OutcomeUnknown)
}

/// What to do next.
const fn next(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::InvalidBody
        | ProblemKind::InvalidParameters
        | ProblemKind::BadRequest
        | ProblemKind::MalformedJson
        | ProblemKind::BodyTooLarge => {
            "Nothing was done. Correct every argument named here, and call the tool again."
        }
        ProblemKind::Conflict => {
            "Nothing was done. Read the item again with get_item, then decide anew."
        }
        ProblemKind::ClaimLost => {
            "Nothing was done. Stop working on this todo: another worker may have it. Call \
             claim_todo for the next one."
        }
        ProblemKind::NotFound => {
            "Nothing was done. Check the id: list_todos, search_work and work_brief show the ids \
             that you may use."
        }
        ProblemKind::InsufficientCredits => {
            "Nothing was done. Reads still work. Ask your operator for credits, and call the tool \
             again when there are some."
        }
        ProblemKind::Suspended => {
            "Nothing was done. Reads still work. Ask your operator why the account is suspended."
        }
        ProblemKind::OwnerOnly => {
            "Nothing was done. Leave actor_id out, and use only your own sessions, todos and \
             activities."
        }
        ProblemKind::KeyOfAnotherRequest => {
            "Nothing was done now. Use a new request_id for a new call. To repeat an earlier one, \
             send the same arguments with its request_id."
        }
        ProblemKind::Unauthorized => {
            "Nothing was done. The API key ended. Ask your operator for another one."
        }
        ProblemKind::Unreadable => {
            "A stored text is damaged. Other items can still be read; tell your operator."
        }
        ProblemKind::OutcomeUnknown => {
            "It may have been done or not. With a request_id, call again with the same one and the \
             same arguments: it is done once. Without one, read first whether it was done."
        }
        ProblemKind::Internal => {
            "The error is the server's: tell your operator. Before you repeat a write, check \
             whether it was done, or repeat it with its request_id."
        }
        _ => "Nothing was done. Ask your operator.",
    }
}

#[cfg(test)]
mod tests {
    use roots_http_core::request::fields::InvalidField;

    use super::*;

    fn error(field: &str, message: &str) -> InvalidField {
        InvalidField { field: field.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_refusal_says_every_error_and_what_to_do_next() {
        let problem = Problem::invalid_body(vec![
            error("title", "is required"),
            error("prority", "is not a known field: did you mean priority?"),
            error("todos[1].title", "is required"),
            error("todos[1].session_id", "There is no session 9."),
            error("body", "must be a JSON object, not an array"),
        ]);
        assert_eq!(
            text(&problem),
            "invalid-body: The arguments are not valid.\n\
             - title is required\n\
             - prority is not a known field: did you mean priority?\n\
             - todos[1].title is required\n\
             - todos[1].session_id: There is no session 9.\n\
             - arguments must be a JSON object, not an array\n\
             Nothing was done. Correct every argument named here, and call the tool again."
        );
    }

    #[test]
    fn a_refusal_for_a_while_says_when_to_call_again() {
        let text = text(&Problem::too_many_searches());
        assert!(text.starts_with("unavailable: "), "{text}");
        assert!(text.ends_with("Nothing was done. Call again in 1 s."), "{text}");
    }

    #[test]
    fn every_kind_of_problem_has_a_code_and_a_next_step() {
        for kind in ProblemKind::ALL {
            let text = text(&Problem::example(*kind));
            assert!(text.starts_with(&format!("{}: ", kind.slug())), "{text}");
            assert!(text.lines().count() > 1 && text.ends_with('.'), "{text}");
        }
    }
}
