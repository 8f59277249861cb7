//! The shutdown of the service, for long answers.

use std::future;

use tokio::sync::watch;

/// Tells long answers that the service is about to shut down. By default it never does.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Option<watch::Receiver<bool>>);

impl Shutdown {
    /// A shutdown that begins when `signal` completes.
    pub fn when(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        let (tell, shutdown) = watch::channel(false);
        tokio::spawn(async move {
            signal.await;
            tell.send_replace(true);
            // The sender is kept: those that ask later are told as well.
            tell.closed().await;
        });
        Self(Some(shutdown))
    }

    /// Waits until the shutdown begins.
    pub async fn begun(&mut self) {
        if let Some(shutdown) = &mut self.0
            && shutdown.wait_for(|has_begun| *has_begun).await.is_ok()
        {
            return;
        }
        future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_shutdown_begins_at_its_signal_and_not_before() {
        assert!(Shutdown::default().begun().now_or_never().is_none());
        let (tell, signal) = oneshot::channel();
        let mut shutdown = Shutdown::when(async { signal.await.unwrap() });
        assert!(shutdown.begun().now_or_never().is_none());
        tell.send(()).unwrap();
        shutdown.begun().await;
        shutdown.clone().begun().await;
    }
}
