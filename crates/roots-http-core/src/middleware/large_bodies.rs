//! Large request bodies: limits how many are held in memory at once, in total and for each address.
//!
//! The announced length of a body reserves nothing. A body takes a place once more than 128 KiB of
//! it have arrived, and keeps it until the request is answered. A place is for a whole body: bodies
//! that got memory bit by bit could all wait for each other.

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

/// An address has at most one in this many places: a quarter.
const ADDRESS_PART: usize = 4;
/// Longest time that a body waits for a place. Meanwhile it is not read.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places for large bodies. Addresses get them in rotation.
pub struct LargeBodies {
    permits: FairPermits<IpAddr>,
    trusted: Vec<TrustedProxy>,
}

impl LargeBodies {
    /// So many places, and the proxies whose headers are trusted. An address may always have one
    /// place.
    #[must_use]
    pub fn new(places: usize, trusted: Vec<TrustedProxy>) -> Self {
        let permits = FairPermits::new(PermitLimits {
            at_once: places,
            at_once_each: (places / ADDRESS_PART).max(1),
            // The number of connections is bounded, and a waiting body holds no more than a small
            // one.
            waiting: usize::MAX,
            waiting_each: usize::MAX,
        });
        Self { permits, trusted }
    }

    /// Lets the body of a request take a place when it turns out to be large. The place is freed
    /// when the request is answered or given up.
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

/// The place that a body may take. Clones refer to the same place.
#[derive(Clone)]
pub struct BodyPlace {
    permits: FairPermits<IpAddr>,
    address: IpAddr,
    permit: Arc<OnceLock<FairPermit<IpAddr>>>,
}

impl BodyPlace {
    /// Takes a place for the body of the request with these extensions, unless it has one.
    ///
    /// # Errors
    /// 503: no place became free in time, among all or among those of its address.
    pub async fn take(extensions: &Extensions) -> Result<(), Problem> {
        let place = extensions.get::<Self>();
        let place = place.ok_or_else(|| Problem::internal("a body passed by its place"))?;
        if place.permit.get().is_some() {
            return Ok(());
        }
        let taking = tokio::time::timeout(PATIENCE, place.permits.take(place.address)).await;
        let permit = taking.ok().and_then(Result::ok).ok_or_else(Problem::no_room_for_body)?;
        // Nothing else sets it: a body is read once.
        let _ = place.permit.set(permit);
        Ok(())
    }
}
