//! What the API is compared with: handlers of Axum that answer a fixed JSON, and do nothing else.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use axum::Router;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::routing::get;
use axum::serve::ListenerExt;
use hyper::body::Bytes;
use tokio::net::TcpListener;

/// What it is asked for: an answer of so many bytes.
pub(crate) fn path(bytes: usize) -> String {
    format!("/{bytes}")
}

/// Serves answers of those sizes on a free port, whose address is the first line that it prints.
///
/// # Errors
/// The system gives no port, or takes it away.
pub(crate) async fn serve(sizes: &[usize]) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut out = io::stdout();
    writeln!(out, "address={}", listener.local_addr()?)?;
    out.flush()?;
    let listener = listener.tap_io(|stream| {
        // As Roots does.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(sizes)).await
}

/// A path for each of those sizes.
pub(crate) fn router(sizes: &[usize]) -> Router {
    let mut router = Router::new();
    for bytes in sizes {
        let json = HeaderValue::from_static("application/json");
        let answer = ([(CONTENT_TYPE, json)], Bytes::from(document(*bytes)));
        router = router.route(&path(*bytes), get(async move || answer.clone()));
    }
    router
}

/// A JSON of so many bytes, at least 8.
fn document(bytes: usize) -> String {
    const AROUND: &str = r#"{"a":""}"#;
    let (before, after) = AROUND.split_at(6);
    format!("{before}{}{after}", "x".repeat(bytes.saturating_sub(AROUND.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_json_of_its_size() {
        for bytes in [8, 9, 5_000] {
            let text = document(bytes);
            assert_eq!(text.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
        }
    }
}
