//! A stream of events that opens itself again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{self, Stream};
use reqwest::Response;
use reqwest::header::{HeaderName, HeaderValue};
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{EventOptions, EventUpdate};
use crate::operation::Operation;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long to wait before a stream that was cut is opened again, unless the server says another
/// time.
const RETRY: Duration = Duration::from_secs(2);
/// The longest wait that a server may ask for.
const RETRY_MAX: Duration = Duration::from_mins(1);
/// The most bytes that one event may have. The server's have a few hundred.
const EVENT_MAX_BYTES: usize = 64 * 1024;
/// The name of the event that tells that others were missed.
const RESET: &[u8] = b"reset";

/// The events from `options` on. The first error is the last item.
pub(crate) fn events(
    client: Client,
    options: EventOptions,
) -> impl Stream<Item = Result<EventUpdate, Error>> {
    let events = Events {
        client,
        reader: Reader { last_id: options.last_event_id.clone(), ..Reader::default() },
        options,
        open: None,
        retry: RETRY,
        is_over: false,
    };
    stream::unfold(events, |mut events| async move {
        let update = events.next().await.transpose()?;
        events.is_over |= update.is_err();
        Some((update, events))
    })
}

struct Events {
    client: Client,
    options: EventOptions,
    open: Option<Response>,
    reader: Reader,
    retry: Duration,
    is_over: bool,
}

impl Events {
    async fn next(&mut self) -> Result<Option<EventUpdate>, Error> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            if let Some(update) = self.reader.updates.pop_front() {
                return Ok(Some(update));
            }
            let patience = self.client.timeout();
            let response = if let Some(response) = &mut self.open {
                response
            } else {
                let response = self.client.open(&self.call()?).await?;
                self.reader.begin();
                self.open.insert(response)
            };
            // The server sends a comment each 15 s.
            if let Ok(Ok(Some(chunk))) = timeout(patience, response.chunk()).await {
                self.reader.read(&chunk)?;
                self.retry = self.reader.retry.unwrap_or(RETRY).min(RETRY_MAX);
                continue;
            }
            self.open = None;
            if self.options.ends_now && self.reader.is_between_events() {
                self.is_over = true;
            } else {
                sleep(self.retry).await;
            }
        }
    }

    fn call(&self) -> Result<Call, Error> {
        let call = Call::new(Operation::Events).with_query(self.options.query());
        let Some(id) = &self.reader.last_id else { return Ok(call) };
        let id = HeaderValue::from_str(id).map_err(|_| Error::Request("the id of an event"))?;
        Ok(call.with_header(LAST_EVENT_ID, id))
    }
}

/// Reads server-sent events (HTML, 9.2.6).
#[derive(Default)]
struct Reader {
    /// What came and is no whole line yet.
    buffer: BytesMut,
    /// The parts of the event that is not yet whole.
    id: Option<String>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_lines: bool,
    /// The id of the last whole event.
    last_id: Option<String>,
    retry: Option<Duration>,
    /// What is read and not yet given out.
    updates: VecDeque<EventUpdate>,
}

impl Reader {
    /// Begins a new answer: the event that the last one broke off is told again.
    fn begin(&mut self) {
        let Self { last_id, retry, updates, .. } = std::mem::take(self);
        *self = Self { last_id, retry, updates, ..Self::default() };
    }

    fn is_between_events(&self) -> bool {
        self.buffer.is_empty() && !self.has_lines
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.buffer.extend_from_slice(chunk);
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(end + 1);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            self.line(line.strip_suffix(b"\r").unwrap_or(line))?;
        }
        if self.buffer.len() + self.data.len() > EVENT_MAX_BYTES {
            return Err(Error::Request("an event is too long"));
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        if line.is_empty() {
            return self.end_event();
        }
        self.has_lines = true;
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || std::str::from_utf8(value).ok();
        match field {
            b"id" => self.id = text().map(str::to_owned),
            b"event" => self.name = value.to_vec(),
            b"data" => {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"retry" => {
                let millis = text().and_then(|text| text.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            // A comment, or a field of a newer server.
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self) -> Result<(), Error> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        self.has_lines = false;
        if let Some(id) = self.id.take() {
            self.last_id = Some(id);
        }
        if name == RESET {
            let id = self.last_id.clone().unwrap_or_default();
            self.updates.push_back(EventUpdate::Reset { id });
        } else if name.is_empty() && !data.is_empty() {
            let event = serde_json::from_slice(&data);
            let event = event.map_err(|error| Error::unreadable(Operation::Events, &error))?;
            self.updates.push_back(EventUpdate::Event(Box::new(event)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "id: 2.1\ndata: {\"id\":\"2.1\",\"kind\":\"todo\",\"action\":\"created\",\
        \"actor_id\":1,\"subject_id\":7,\"subject_actor_id\":1,\"rows\":1,\"status\":null,\
        \"credits\":-1,\"created_at\":\"2026-04-09T10:00:00Z\"}\n\n";

    #[test]
    fn events_are_read_however_they_are_cut_into_pieces() {
        let text = format!(
            "retry: 700\r\n\r\nid: 1.1\n\n:\n\n{EVENT}event: reset\nid: 9.3\ndata: {{}}\n\n"
        );
        for size in [1, 2, 7, text.len()] {
            let mut reader = Reader::default();
            text.as_bytes().chunks(size).for_each(|piece| reader.read(piece).unwrap());
            assert!(reader.is_between_events());
            assert_eq!(reader.retry, Some(Duration::from_millis(700)));
            let updates: Vec<_> = reader.updates.into();
            let [EventUpdate::Event(event), EventUpdate::Reset { id }] = &updates[..] else {
                panic!("{updates:?}")
            };
            assert_eq!((event.id.as_str(), event.subject_id, id.as_str()), ("2.1", Some(7), "9.3"));
        }
    }

    #[test]
    fn the_id_of_an_event_counts_once_the_event_is_whole() {
        let mut reader = Reader::default();
        reader.read(b"id: 1.1\n\nid: 2.1\ndata: {").unwrap();
        assert_eq!(reader.last_id.as_deref(), Some("1.1"));
        assert!(!reader.is_between_events());
        reader.begin();
        reader.read(EVENT.as_bytes()).unwrap();
        assert_eq!(reader.last_id.as_deref(), Some("2.1"));
        assert_eq!(reader.updates.len(), 1);
    }

    #[test]
    fn an_event_that_does_not_end_is_refused() {
        let mut reader = Reader::default();
        assert!(reader.read(&vec![b'x'; EVENT_MAX_BYTES]).is_ok());
        assert!(reader.read(b"x").is_err());
    }
}
