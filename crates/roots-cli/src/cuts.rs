//! Going on after a cut.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::CliError;

/// How often in a row it is tried again.
const CUTS_MAX: u32 = 5;
/// The wait before it is tried again. Each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that the server may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The cuts since something was gained.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    in_a_row: u32,
}

impl Cuts {
    /// Something was gained since the last cut.
    pub(crate) const fn end(&mut self) {
        self.in_a_row = 0;
    }

    /// How long to wait before it is tried again.
    ///
    /// # Errors
    ///
    /// The error that made the cut, if it will not pass, or there were too many in a row.
    pub(crate) fn next(&mut self, error: CliError) -> Result<Wait, CliError> {
        let asked = match &error {
            CliError::Api(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if !error.may_pass() || self.in_a_row >= CUTS_MAX || asked > LONGEST_WAIT {
            return Err(error);
        }
        let time = FIRST_WAIT.saturating_mul(1 << self.in_a_row).max(asked);
        self.in_a_row += 1;
        Ok(Wait { why: error.sentence(), time })
    }
}

/// A wait after a cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// What made the cut.
    pub(crate) why: String,
    time: Duration,
}

impl Wait {
    /// Waits.
    pub(crate) async fn pass(self) {
        sleep(self.time).await;
    }
}

#[cfg(test)]
mod tests {
    use roots_client::Error;

    use super::*;

    #[test]
    fn it_is_tried_again_until_there_were_too_many_cuts_in_a_row() {
        let mut cuts = Cuts::default();
        for millis in [500, 1000, 2000, 4000, 8000] {
            let wait = cuts.next(CliError::Api(Error::ExportCutOff)).unwrap();
            assert_eq!(wait.time, Duration::from_millis(millis));
        }
        assert!(cuts.next(CliError::Api(Error::ExportCutOff)).is_err());
        cuts.end();
        assert!(cuts.next(CliError::Api(Error::TimedOut)).is_ok());
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        assert!(Cuts::default().next(CliError::Usage("no".to_owned())).is_err());
        assert!(Cuts::default().next(CliError::Api(Error::Request("no"))).is_err());
    }
}
