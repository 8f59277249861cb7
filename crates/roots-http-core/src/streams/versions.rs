//! The stream of a page: the version of its account, and nothing else.

use axum::response::Response;
use futures_util::stream;
use tracing::{Instrument, Span};

use super::open_stream::{Moment, OpenStream};
use super::sse;

/// A stream that tells the version of its account with the first round, and whenever it has
/// changed. A page that was made from another version is out of date.
#[must_use]
pub fn versions(stream: OpenStream) -> Response {
    let span = Span::current();
    let telling = Telling { stream, told: None, has_begun: false };
    sse::answer(stream::unfold(telling, move |mut telling| {
        let next = async {
            let piece = telling.next().await?;
            Some((piece, telling))
        };
        next.instrument(span.clone())
    }))
}

struct Telling {
    stream: OpenStream,
    told: Option<i64>,
    has_begun: bool,
}

impl Telling {
    async fn next(&mut self) -> Option<String> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(sse::opening());
        }
        loop {
            match self.stream.next().await? {
                Moment::Moved(state) if self.told == Some(state.version) => {}
                Moment::Moved(state) => {
                    self.told = Some(state.version);
                    let mut text = String::new();
                    sse::write_event(&mut text, None, None, &state.version.to_string());
                    return Some(text);
                }
                Moment::Comment => return Some(sse::comment()),
            }
        }
    }
}
