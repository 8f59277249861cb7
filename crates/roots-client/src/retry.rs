//! When a request is sent again.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::time::Instant;

use crate::error::Error;
use crate::operation::Repeat;

/// How often a request is sent at most.
pub(crate) const MAX_TRIES: usize = 5;
/// How long after the first try the last one may begin, and must have ended.
pub(crate) const WITHIN: Duration = Duration::from_mins(1);
/// The wait after the first try. Each wait is twice the one before it, and up to as much again, so
/// that clients that failed together do not return together.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Repeats `attempt` while its error allows it, up to [`MAX_TRIES`] times in all. An attempt gets
/// the time that is left of `within`. No wait is shorter than the server asks for, and none goes on
/// past the end of `within`: the error is then returned at once. Without `within` there is one
/// attempt, with any time.
pub(crate) async fn retrying<T, F, Fut>(
    repeat: Repeat,
    within: Option<Duration>,
    mut attempt: F,
) -> Result<T, Error>
where
    F: FnMut(Option<Duration>) -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let start = Instant::now();
    let left = || within.map(|within| within.saturating_sub(start.elapsed()));
    let backoff = ExponentialBuilder::new()
        .with_min_delay(FIRST_WAIT)
        .with_factor(2.0)
        .with_max_times(MAX_TRIES - 1)
        .with_jitter();
    (|| attempt(left()))
        .retry(backoff)
        .when(|error| error.allows_repeat(repeat))
        .adjust(|error, wait| {
            let wait = wait?.max(error.retry_after().unwrap_or_default());
            left().is_some_and(|left| wait < left).then_some(wait)
        })
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use reqwest::StatusCode;
    use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
    use serde_json::json;

    use super::*;

    fn refused(status: u16, code: &str, retry_after: Option<u64>) -> Error {
        let problem = json!({
            "type": format!("/docs/problems#{code}"), "title": "", "status": status,
            "detail": "", "request_id": "", "error": "",
        });
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/problem+json".parse().unwrap());
        headers.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds.into())));
        let status = StatusCode::from_u16(status).unwrap();
        Error::of_answer(status, &headers, problem.to_string().as_bytes())
    }

    /// The moments of all tries, of a request that fails each time. Zero seconds are no time.
    async fn tries(repeat: Repeat, within: u64, error: impl Fn() -> Error) -> Vec<Instant> {
        let moments = RefCell::new(Vec::new());
        let within = (within > 0).then_some(Duration::from_secs(within));
        let result = retrying(repeat, within, |_| {
            moments.borrow_mut().push(Instant::now());
            let error = error();
            async { Err::<(), _>(error) }
        });
        assert!(result.await.is_err());
        moments.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn passing_trouble_is_tried_five_times_with_growing_waits() {
        for error in [
            || refused(429, "too-many-requests", None),
            || refused(503, "unavailable", None),
            || refused(503, "outcome-unknown", None),
            || refused(409, "still-in-flight", None),
        ] {
            let tries = tries(Repeat::WithKey, 60, error).await;
            assert_eq!(tries.len(), 5);
            for (number, pair) in (0..).zip(tries.windows(2)) {
                let least = FIRST_WAIT * 2_u32.pow(number);
                let wait = pair[1].duration_since(pair[0]);
                // A millisecond is the resolution of the timer.
                assert!((least..least * 2 + Duration::from_millis(2)).contains(&wait), "{wait:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_else_is_tried_again() {
        for error in [
            || refused(400, "bad-request", Some(1)),
            || refused(401, "unauthorized", None),
            || refused(402, "insufficient-credits", None),
            || refused(408, "request-timeout", None),
            || refused(409, "conflict", Some(1)),
            || refused(412, "precondition-failed", None),
            || refused(422, "idempotency-key-reused", None),
            || refused(500, "internal-error", Some(1)),
            || Error::TimedOut,
            || Error::Status { status: StatusCode::BAD_GATEWAY, retry_after: None },
            || Error::Redirected { location: "https://example.com".to_owned() },
            || Error::ExportCutOff,
        ] {
            assert_eq!(tries(Repeat::Safe, 60, error).await.len(), 1, "{}", error());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_may_be_done_is_not_repeated_without_a_key() {
        let unknown = || refused(503, "outcome-unknown", None);
        assert_eq!(tries(Repeat::Never, 60, unknown).await.len(), 1);
        let from_a_proxy =
            || Error::Status { status: StatusCode::SERVICE_UNAVAILABLE, retry_after: None };
        assert_eq!(tries(Repeat::Never, 60, from_a_proxy).await.len(), 1);
        assert_eq!(tries(Repeat::WithKey, 60, from_a_proxy).await.len(), 5);
        // The server says that it did nothing.
        let not_done = || refused(503, "unavailable", None);
        assert_eq!(tries(Repeat::Never, 60, not_done).await.len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_as_long_as_the_server_asks() {
        let error = || refused(429, "too-many-requests", Some(7));
        let tries = tries(Repeat::Safe, 60, error).await;
        assert_eq!(tries.len(), 5);
        for pair in tries.windows(2) {
            assert!(pair[1].duration_since(pair[0]) >= Duration::from_secs(7), "{tries:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_try_begins_after_the_time_is_over() {
        let error = || refused(429, "too-many-requests", Some(25));
        assert_eq!(tries(Repeat::Safe, 60, error).await.len(), 3);
        let start = Instant::now();
        let error = || refused(429, "too-many-requests", Some(3600));
        assert_eq!(tries(Repeat::Safe, 60, error).await.len(), 1);
        assert_eq!(start.elapsed(), Duration::ZERO, "it waited for nothing");
        let error = || refused(503, "unavailable", None);
        assert_eq!(tries(Repeat::Safe, 0, error).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_gets_the_time_that_is_left() {
        let left = RefCell::new(Vec::new());
        let fails = Cell::new(true);
        let result = retrying(Repeat::Safe, Some(WITHIN), |time| {
            left.borrow_mut().push(time.unwrap().as_secs());
            let fails = fails.take();
            async move { if fails { Err(refused(429, "too-many-requests", Some(20))) } else { Ok(1) } }
        });
        assert_eq!(result.await.unwrap(), 1);
        // The timer may wake up a millisecond late.
        assert!(matches!(left.into_inner()[..], [60, 39 | 40]));
    }
}
