//! The end of the service, for answers that would outlast it.

use std::future;

use tokio::sync::watch;

/// Tells answers that take their time that the service is about to end. By default it never is.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Option<watch::Receiver<bool>>);

impl Shutdown {
    /// Begins when `told` is done.
    pub fn when(told: impl Future<Output = ()> + Send + 'static) -> Self {
        let (tell, shutdown) = watch::channel(false);
        tokio::spawn(async move {
            told.await;
            tell.send_replace(true);
            // Whoever asks later is told as well.
            tell.closed().await;
        });
        Self(Some(shutdown))
    }

    /// Waits until it has begun.
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
        let (tell, told) = oneshot::channel();
        let mut shutdown = Shutdown::when(async { told.await.unwrap() });
        assert!(shutdown.begun().now_or_never().is_none());
        tell.send(()).unwrap();
        shutdown.begun().await;
        shutdown.clone().begun().await;
    }
}
