//! The end of the service, for answers that would outlast it.

use std::future;

use tokio::sync::watch;

/// Tells answers that take their time that the service is about to end. By default it never is.
#[derive(Debug, Clone, Default)]
pub struct Ending(Option<watch::Receiver<bool>>);

impl Ending {
    /// Begins when `told` is done.
    pub fn when(told: impl Future<Output = ()> + Send + 'static) -> Self {
        let (tell, ending) = watch::channel(false);
        tokio::spawn(async move {
            told.await;
            tell.send_replace(true);
            // Whoever asks later is told as well.
            tell.closed().await;
        });
        Self(Some(ending))
    }

    /// Waits until it has begun.
    pub(crate) async fn begun(&mut self) {
        if let Some(ending) = &mut self.0
            && ending.wait_for(|has_begun| *has_begun).await.is_ok()
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
    async fn it_begins_when_it_is_told_and_not_before() {
        assert!(Ending::default().begun().now_or_never().is_none());
        let (tell, told) = oneshot::channel();
        let mut ending = Ending::when(async { told.await.unwrap() });
        assert!(ending.begun().now_or_never().is_none());
        tell.send(()).unwrap();
        ending.begun().await;
        ending.clone().begun().await;
    }
}
