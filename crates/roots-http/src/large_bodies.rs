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

use crate::address::{self, TrustedProxy};
use crate::problem::Problem;
use crate::turns::{Turn, TurnLimits, Turns};

/// A body up to this needs no place: the longest text with all that stands beside it.
pub(crate) const SMALL_BODY_MAX_BYTES: usize = 128 * 1024;
/// An address has at most this part of the places at once: one of four.
const ADDRESS_PART: usize = 4;
/// Longest time that a body waits for a place. No more of it is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places for large bodies. Addresses take turns.
pub(crate) struct LargeBodies {
    turns: Turns<IpAddr>,
    trusted: Vec<TrustedProxy>,
}

impl LargeBodies {
    /// So many places, and the proxies whose word on addresses is taken. An address may always have one.
    pub(crate) fn new(places: usize, trusted: Vec<TrustedProxy>) -> Self {
        let turns = Turns::new(TurnLimits {
            at_once: places,
            at_once_each: (places / ADDRESS_PART).max(1),
            // Connections are bounded, and one that waits holds what a small body holds.
            waiting: usize::MAX,
            waiting_each: usize::MAX,
        });
        Self { turns, trusted }
    }

    /// Lets the body of a request take a place when it turns out to be large. The place is given back
    /// when the request has been answered or given up.
    pub(crate) async fn hold<F: Future<Output = Response>>(
        &self,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        if request.body().is_end_stream() {
            return next(request).await;
        }
        let address = address::of_request(&request, &self.trusted);
        let place = BodyPlace { turns: self.turns.clone(), address, turn: Arc::default() };
        request.extensions_mut().insert(place.clone());
        let response = next(request).await;
        drop(place);
        response
    }
}

/// The place that a body may take. Clones are one and the same place.
#[derive(Clone)]
pub(crate) struct BodyPlace {
    turns: Turns<IpAddr>,
    address: IpAddr,
    turn: Arc<OnceLock<Turn<IpAddr>>>,
}

impl BodyPlace {
    /// Takes it for the body of the request that has these extensions, if it has not been taken.
    ///
    /// # Errors
    /// 503: other bodies had all places for too long, or its address had as many as it may.
    pub(crate) async fn take(extensions: &Extensions) -> Result<(), Problem> {
        let place = extensions.get::<Self>();
        let place = place.ok_or_else(|| Problem::internal("a body passed by its place"))?;
        if place.turn.get().is_some() {
            return Ok(());
        }
        let taking = tokio::time::timeout(PATIENCE, place.turns.take(place.address)).await;
        let turn = taking.ok().and_then(Result::ok).ok_or_else(Problem::no_room_for_body)?;
        // Nobody else takes it: a body is read once.
        let _ = place.turn.set(turn);
        Ok(())
    }
}
