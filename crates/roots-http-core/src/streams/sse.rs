//! How server-sent events are written (HTML, 9.2).

use std::convert::Infallible;
use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};

use crate::wire::NO_STORE;

/// The media type of a stream.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Tells nginx to hand on each event at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// After how many milliseconds a client opens a stream again that was cut.
const RETRY_MILLISECONDS: u32 = 2_000;

/// What a stream begins with: how soon to come back.
#[must_use]
pub fn opening() -> String {
    format!("retry: {RETRY_MILLISECONDS}\n\n")
}

/// A comment: it shows that the stream is alive, and clients ignore it.
#[must_use]
pub fn comment() -> String {
    ":\n\n".to_owned()
}

/// Sets the id that a client sends in `Last-Event-ID`, and tells it of nothing.
#[must_use]
pub fn id_alone(id: impl std::fmt::Display) -> String {
    format!("id: {id}\n\n")
}

/// Appends an event. Neither part has a line break. Without a name it is a `message`.
pub fn write_event(
    text: &mut String,
    id: Option<&dyn std::fmt::Display>,
    name: Option<&str>,
    data: &str,
) {
    // Writing to a string does not fail.
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    if let Some(name) = name {
        let _ = writeln!(text, "event: {name}");
    }
    let _ = write!(text, "data: {data}\n\n");
}

/// An answer that sends these pieces as they come. It is not stored and so never compressed, and a
/// piece is made only when the client has taken those before it.
pub fn answer(pieces: impl Stream<Item = String> + Send + 'static) -> Response {
    let pieces = pieces.map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    (headers(), Body::from_stream(pieces)).into_response()
}

/// The headers of a stream.
#[must_use]
pub fn headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (CACHE_CONTROL, NO_STORE),
        (ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_lines_that_the_standard_names() {
        let mut text = opening();
        text += &id_alone(7);
        write_event(&mut text, None, None, "1");
        write_event(&mut text, Some(&"2.3"), Some("reset"), "{}");
        text += &comment();
        let expected =
            "retry: 2000\n\nid: 7\n\ndata: 1\n\nid: 2.3\nevent: reset\ndata: {}\n\n:\n\n";
        assert_eq!(text, expected);
    }
}
