//! Detects secrets that a caller may have sent in the wrong place: API keys and recovery codes.
//!
//! Answers repeat a few values of a request: its id, and the names of unknown fields and
//! parameters. Ids are logged too. None of them is repeated if it could hold a secret.

/// A text with at most this many letters and digits, not counting UUIDs, can't hold a secret. A
/// ULID has 26, a KSUID 27. A recovery code has at least 40 and an API key at least 49. The part of
/// a code that 27 of them leave out can't be guessed within the limits on recoveries.
const PLAIN_MAX_SYMBOLS: usize = 27;
/// The prefix of an API key.
const KEY_START: &str = "roots_";
/// The lengths of the groups of a UUID (RFC 9562).
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether a text could hold an API key or a recovery code, or most of one. That is so if it has
/// more than 27 letters and digits, not counting a UUID, or contains `roots_` in upper or lower
/// case. Hexadecimal numbers of any length hold none: about one code in 2^40 has only such digits.
///
/// The formats are in `docs/security.md`, "Formats". Other characters do not count, since a
/// recovery code is read without its dashes and blanks.
pub(crate) fn may_hold_secret(text: &str) -> bool {
    let rest = without_uuid(text);
    let symbols = || rest.bytes().filter(u8::is_ascii_alphanumeric);
    let is_long = symbols().count() > PLAIN_MAX_SYMBOLS;
    let is_hexadecimal = || symbols().all(|symbol| symbol.is_ascii_hexdigit());
    (is_long && !is_hexadecimal()) || text.to_ascii_lowercase().contains(KEY_START)
}

/// A text without the UUID at its end, if it has one.
fn without_uuid(text: &str) -> &str {
    let mut rest = text;
    for (nth, length) in UUID_GROUPS.into_iter().enumerate().rev() {
        let Some((before, group)) =
            rest.len().checked_sub(length).and_then(|at| rest.split_at_checked(at))
        else {
            return text;
        };
        if !group.bytes().all(|symbol| symbol.is_ascii_hexdigit()) {
            return text;
        }
        rest = before;
        if nth > 0 {
            let Some(before) = rest.strip_suffix('-') else { return text };
            rest = before;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "04GQ2-V7XQT-3CDEM-8JKNP-RSTWY-Z0123-45678-9ABCD";
    const KEY: &str = "roots_1_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk";

    #[test]
    fn a_recovery_code_or_api_key_is_detected_in_any_readable_form() {
        let forms = [
            CODE.to_owned(),
            CODE.to_lowercase(),
            CODE.replace('-', ""),
            CODE.replace('-', " "),
            CODE.replace('-', "_"),
            CODE.replace('-', "."),
            CODE.replace('0', "O").replace('1', "l"),
            format!("run-{CODE}"),
            format!("{CODE}.7"),
            KEY.to_owned(),
            KEY.to_uppercase(),
            format!("x{KEY}"),
            KEY.trim_start_matches("roots_").to_owned(),
            "Roots_1_abc".to_owned(),
            CODE.replace('-', "")[..36].to_owned(),
            CODE.replace('-', "")[..28].to_owned(),
            KEY.trim_start_matches("roots_1_")[..36].to_owned(),
            format!("{CODE}-019d728c-0000-7000-8000-0000000000f1"),
        ];
        for form in forms {
            assert!(may_hold_secret(&form), "{form}");
        }
    }

    #[test]
    fn common_forms_of_ids_are_not_taken_for_secrets() {
        for id in [
            "",
            "a",
            "019d728c-0000-7000-8000-0000000000f1",
            "req_019D728C-0000-7000-8000-0000000000F1",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "0ujtsYcgvSTl8PAuAdqWYSMnLOv",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "roots-run",
            "agent-build-and-deploy-019d728c-0000-7000-8000-0000000000f1",
        ] {
            assert!(!may_hold_secret(id), "{id}");
        }
    }
}
