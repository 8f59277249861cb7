//! What happens to the account, as it happens.

use futures_util::Stream;

use crate::client::Client;
use crate::error::Error;
use crate::events::events;
use crate::model::{EventOptions, EventUpdate};

impl Client {
    /// What happens to the account, as it happens, the oldest first. If the connection breaks or
    /// the server ends it, the stream opens another one and goes on behind the last event. It
    /// misses and repeats none, and says so if it has to leave some out.
    ///
    /// The stream begins with the first item that is asked for. It ends after an error, and after
    /// everything up to now if the options say so. An error that passes, such as a full server, is
    /// tried again for [`retry_within`](crate::ClientBuilder::retry_within).
    pub fn events(
        &self,
        options: &EventOptions,
    ) -> impl Stream<Item = Result<EventUpdate, Error>> + use<> {
        events(self.clone(), options.clone())
    }
}
