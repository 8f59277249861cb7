//! Applies a layer to an answer that already exists.

use std::convert::Infallible;
use std::future;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service, ServiceExt};

/// Applies a layer to an existing answer. Of the request, the layer sees `asked`.
pub(super) async fn apply_layer<L>(layer: &L, asked: Request, response: Response) -> Response
where
    L: Layer<ReadyResponse>,
    L::Service: Service<Request, Error = Infallible>,
    <L::Service as Service<Request>>::Response: IntoResponse,
{
    match layer.layer(ReadyResponse(Some(response))).oneshot(asked).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

/// A request that has only the named headers of another.
pub(super) fn same_headers(request: &Request, name: &HeaderName) -> Request {
    let mut asked = Request::default();
    for value in request.headers().get_all(name) {
        asked.headers_mut().append(name, value.clone());
    }
    asked
}

/// A service that returns the answer it holds.
pub(super) struct ReadyResponse(Option<Response>);

impl Service<Request> for ReadyResponse {
    type Response = Response;
    type Error = Infallible;
    type Future = future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        future::ready(Ok(self.0.take().unwrap_or_default()))
    }
}
