//! Large bodies of requests: how many of them are held in memory at once, and by which addresses.
//!
//! A body takes nothing for what its request announces. It takes a place once more than 128 KiB of it
//! have come, and keeps it until the request is answered. A place is for a whole body: bodies that
//! were granted memory bit by bit could all wait for each other.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::Extensions;
use axum::response::Response;

use super::fair_permits::{FairPermit, FairPermits, PermitLimits};
use crate::auth::client_ip::{self, TrustedProxy};
use crate::problem::Problem;

/// An address has at most this part of the places at once: one of four.
const ADDRESS_PART: usize = 4;
/// Longest time that a body waits for a place. No more of it is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places for large bodies. Addresses take turns.
pub struct LargeBodies {
    permits: FairPermits<IpAddr>,
    trusted: Vec<TrustedProxy>,
}

impl LargeBodies {
    /// So many places, and the proxies whose word on addresses is taken. An address may always have one.
    #[must_use]
    pub fn new(places: usize, trusted: Vec<TrustedProxy>) -> Self {
        let permits = FairPermits::new(PermitLimits {
            at_once: places,
            at_once_each: (places / ADDRESS_PART).max(1),
            // Connections are bounded, and one that waits holds what a small body holds.
            waiting: usize::MAX,
            waiting_each: usize::MAX,
        });
        Self { permits, trusted }
    }

    /// Lets the body of a request take a place when it turns out to be large. The place is given back
    /// when the request has been answered or given up.
    pub async fn hold<F: Future<Output = Response>>(
        &self,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        if request.body().is_end_stream() {
            return next(request).await;
        }
        let address = client_ip::of_request(&request, &self.trusted);
        let place = BodyPlace { permits: self.permits.clone(), address, permit: Arc::default() };
        request.extensions_mut().insert(place.clone());
        let response = next(request).await;
        drop(place);
        response
    }
}

/// The place that a body may take. Clones are one and the same place.
#[derive(Clone)]
pub struct BodyPlace {
    permits: FairPermits<IpAddr>,
    address: IpAddr,
    permit: Arc<OnceLock<FairPermit<IpAddr>>>,
}

impl BodyPlace {
    /// Takes it for the body of the request that has these extensions, if it has not been taken.
    ///
    /// # Errors
    /// 503: other bodies had all places for too long, or its address had as many as it may.
    pub async fn take(extensions: &Extensions) -> Result<(), Problem> {
        let place = extensions.get::<Self>();
        let place = place.ok_or_else(|| Problem::internal("a body passed by its place"))?;
        if place.permit.get().is_some() {
            return Ok(());
        }
        let taking = tokio::time::timeout(PATIENCE, place.permits.take(place.address)).await;
        let permit = taking.ok().and_then(Result::ok).ok_or_else(Problem::no_room_for_body)?;
        // Nobody else takes it: a body is read once.
        let _ = place.permit.set(permit);
        Ok(())
    }
}
