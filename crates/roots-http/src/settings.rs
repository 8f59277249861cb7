//! The settings of the API.

/// Whether anybody may create an account with `POST /bootstrap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signup {
    /// Nobody: 403.
    #[default]
    Closed,
    /// Anybody.
    Open {
        /// The credits of a new account, not negative.
        credits: i64,
    },
}
