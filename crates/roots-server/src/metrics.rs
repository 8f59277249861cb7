//! The metrics, in the text form of Prometheus.

use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics::SetRecorderError;
use metrics_exporter_prometheus::{
    BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::net::connections::Connections;

/// Upper bounds, in seconds, of the histograms of durations.
const DURATION_BOUNDS_SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];
/// How often the samples since the last reading are aggregated, so that they do not pile up.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    /// The recorder refuses its settings.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is already another recorder.
    #[error(transparent)]
    Set(#[from] SetRecorderError<PrometheusRecorder>),
}

/// Starts counting, and returns the router of `GET /metrics`, with the counts and the open
/// connections.
///
/// # Errors
/// See [`MetricsError`].
pub(crate) fn start(connections: Connections) -> Result<Router, MetricsError> {
    let recorder = PrometheusBuilder::new().set_buckets(&DURATION_BOUNDS_SECONDS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    tokio::spawn(sum_up(handle.clone()));
    let render = move || async move {
        connections.gauge();
        ([(header::CONTENT_TYPE, TEXT)], handle.render())
    };
    Ok(Router::new().route("/metrics", get(render)))
}

async fn sum_up(handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(SUM_UP_EVERY);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}
