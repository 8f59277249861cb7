//! How long a page takes to show a write.
//!
//! A reader follows the stream of a page. As soon as the stream tells of a new version, it asks for
//! the page again, as the page's script does after a quiet spell.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::fixture::Team;
use crate::client::{self, Client, ClientError, RequestSpec};
use crate::latency::Latencies;
use crate::requests;

/// A write must be shown within this time.
const SHOW_WITHIN: Duration = Duration::from_secs(30);
/// The pauses before the writes are spread over this time: over two rounds of the watch that tells
/// streams. Multiples of the golden ratio fall evenly into it, for any number of writes.
const PAUSE: Duration = Duration::from_secs(1);
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

/// Why a write was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShownError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the stream of the page ended, or told nothing for 30 s")]
    Silent,
}

/// Writes `writes` times to the server `written`, and waits until a page of the server `shown`,
/// which may be the same, shows each write.
///
/// # Errors
/// A request failed, or a write is not shown within 30 s.
pub(crate) fn measure(
    written: SocketAddr,
    shown: SocketAddr,
    team: &Team,
    writes: u32,
) -> Result<Latencies, ShownError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ClientError::from)?.block_on(async {
        let cookie = team.cookie();
        let (tell, mut told) = mpsc::unbounded_channel();
        let stream = requests::page("/events", cookie);
        let streaming = tokio::spawn(async move {
            let mut client = Client::open(shown).await?;
            // Nobody listens any more once all writes are shown.
            client
                .follow(&stream, |piece| {
                    let _ = tell.send(is_version(piece));
                })
                .await
        });
        let (page, mut times) = (requests::page("/", cookie), Latencies::default());
        let (mut reader, mut agent) = (Client::open(shown).await?, Client::open(written).await?);
        next_version(&mut told).await?;
        for number in 0..writes {
            sleep(PAUSE.mul_f64(f64::from(number) * GOLDEN_RATIO % 1.0)).await;
            while told.try_recv().is_ok() {}
            let begun = Instant::now();
            let text = format!("Write {number} of {begun:?}.");
            send(&mut agent, &team.owner.log(&text)).await?;
            loop {
                next_version(&mut told).await?;
                if send(&mut reader, &page).await?.contains(&text) {
                    break;
                }
            }
            times.record(begun.elapsed());
        }
        streaming.abort();
        Ok(times)
    })
}

/// Whether a piece of the stream tells a version, and is no comment.
fn is_version(piece: &[u8]) -> bool {
    piece.starts_with(b"data:")
}

async fn next_version(told: &mut mpsc::UnboundedReceiver<bool>) -> Result<(), ShownError> {
    loop {
        match timeout(SHOW_WITHIN, told.recv()).await {
            Ok(Some(true)) => return Ok(()),
            Ok(Some(false)) => {}
            Ok(None) | Err(_) => return Err(ShownError::Silent),
        }
    }
}

async fn send(client: &mut Client, request: &RequestSpec) -> Result<String, ClientError> {
    let response = client.send(request.to_http()?).await?;
    if !response.status.is_success() {
        return Err(client::unexpected(request, response.status, &response.body));
    }
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}
