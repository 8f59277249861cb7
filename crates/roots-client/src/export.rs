//! An export, line by line.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use reqwest::Response;
use tokio::time::timeout;

use crate::error::Error;
use crate::model::ExportLine;
use crate::operation::Operation;

/// A line of an export, as it came and as it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedLine {
    /// The line with its line break. A file of these is what `import` takes; it also keeps what
    /// this version of the client does not know.
    pub raw: Bytes,
    /// What it says.
    pub line: ExportLine,
}

/// The lines of an export. After the `end` line the stream ends. It gives an error if that line
/// does not come, or an `error` line in its place.
pub(crate) fn lines(
    response: Response,
    patience: Duration,
) -> impl Stream<Item = Result<ExportedLine, Error>> {
    let lines = Lines { response, buffer: BytesMut::new(), searched: 0, is_over: false, patience };
    stream::try_unfold(lines, Lines::next)
}

struct Lines {
    response: Response,
    /// What came and is not yet given out.
    buffer: BytesMut,
    /// The number of bytes in it, from its start, that are no line break.
    searched: usize,
    /// Whether the last line was given out.
    is_over: bool,
    /// How long the server may be silent.
    patience: Duration,
}

impl Lines {
    async fn next(mut self) -> Result<Option<(ExportedLine, Self)>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let raw = self.raw_line().await?;
        let line = serde_json::from_slice(&raw)
            .map_err(|error| Error::unreadable(Operation::Export, &error))?;
        match line {
            ExportLine::Error(failure) => return Err(Error::ExportFailed(failure)),
            ExportLine::End(_) => self.is_over = true,
            _ => {}
        }
        Ok(Some((ExportedLine { raw, line }, self)))
    }

    /// The next line, which has a line break.
    async fn raw_line(&mut self) -> Result<Bytes, Error> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(place) = found {
                let line = self.buffer.split_to(self.searched + place + 1);
                self.searched = 0;
                return Ok(line.freeze());
            }
            self.searched = self.buffer.len();
            let chunk = timeout(self.patience, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| Error::TimedOut)?.map_err(Error::of_transport)?;
            self.buffer.extend_from_slice(&chunk.ok_or(Error::ExportCutOff)?);
        }
    }
}
