//! Exports and imports.

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Body;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::export::{ExportedLine, lines};
use crate::model::{Import, ImportOptions, Query};
use crate::operation::Operation;

impl Client {
    /// Exports the data of the account, or of one actor, decrypted, line by line as the lines are
    /// taken. The stream ends after the `end` line. If that line is missing, or the server reports
    /// that the export failed, the last item is an error.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Only the beginning of an export is tried again.
    pub async fn export(
        &self,
        actor_id: Option<i64>,
    ) -> Result<impl Stream<Item = Result<ExportedLine, Error>> + use<>, Error> {
        let query: Query = actor_id.map(|id| ("actor_id", id.to_string())).into_iter().collect();
        let response = self.open(&Call::new(Operation::Export).with_query(query)).await?;
        Ok(lines(response, self.timeout()))
    }

    /// Imports the lines of an export, as pieces of any size. Costs 1 credit for each row that it
    /// writes. It is not tried again, since the stream is used up; the same file sent again writes
    /// nothing twice.
    ///
    /// # Errors
    ///
    /// See [`Error`]. If an import ends early, the problem's `import` counts what was written and
    /// says from which line to go on.
    pub async fn import<S, E>(&self, options: &ImportOptions, file: S) -> Result<Import, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let call = Call::new(Operation::Import)
            .with_query(options.query())
            .with_header(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        self.upload(&call, Body::wrap_stream(file)).await?.json()
    }

    /// Imports the lines of an export from a reader, such as a file.
    ///
    /// # Errors
    ///
    /// See [`import`](Self::import).
    pub async fn import_from<R>(&self, options: &ImportOptions, file: R) -> Result<Import, Error>
    where
        R: AsyncRead + Send + 'static,
    {
        self.import(options, ReaderStream::new(file)).await
    }
}
