//! Questions before something is done that can't be undone.

use dialoguer::Confirm;

use crate::error::CliError;
use crate::text_source::has_terminal;

/// Asks a question, and goes on if the answer is yes. `otherwise` is the command that does it
/// without a question.
///
/// # Errors
///
/// If the answer is no, or there is no terminal to ask at.
pub(crate) fn ask(question: &str, otherwise: &str) -> Result<(), CliError> {
    if !has_terminal() {
        return Err(CliError::Usage(format!(
            "there is no terminal to ask at: `{otherwise}` does it without a question"
        )));
    }
    let answer = Confirm::new().with_prompt(question).default(false).interact();
    let is_meant = answer.map_err(|error| match error {
        dialoguer::Error::IO(source) => {
            CliError::System { what: "the question can't be asked", source }
        }
    })?;
    if is_meant { Ok(()) } else { Err(CliError::Failed("nothing was done".to_owned())) }
}
