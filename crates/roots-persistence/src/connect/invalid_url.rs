//! Errors in database URLs.

/// An error in a database URL. It never repeats the URL, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The scheme is unknown.
    #[error("a database URL begins with sqlite:// or postgres://")]
    UnknownScheme,
    /// It names no file.
    #[error("a SQLite URL names a file, such as sqlite://data/roots.db?mode=rwc")]
    NoFile,
    /// Its escapes are not valid UTF-8.
    #[error(
        "in a SQLite URL, percent-escapes such as %20 must decode to UTF-8; write a \
         literal % as %25"
    )]
    NotUtf8,
    /// It is a database in memory, which would be gone with the process.
    #[error("Roots keeps its data in a file: a SQLite database in memory is not supported")]
    InMemory,
    /// A parameter that Roots does not know.
    #[error(
        "the only parameter of a SQLite URL is mode, which is rwc (make the file where it is missing) or rw"
    )]
    UnknownParameter,
    /// A PostgreSQL URL that can't be read.
    #[error(
        "this PostgreSQL URL can't be read; it looks like postgres://user:password@host:5432/database"
    )]
    UnreadablePostgres,
    /// A parameter that the driver does not read.
    #[error(
        "this PostgreSQL URL has an unknown parameter; known are sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, port, dbname, user, password, application_name, options and statement-cache-capacity"
    )]
    UnknownPostgresParameter,
    /// An unknown mode of TLS.
    #[error("sslmode is one of disable, require, verify-ca and verify-full")]
    UnknownSslMode,
    /// A mode that allows unencrypted connections to another machine.
    #[error(
        "sslmode=prefer and sslmode=allow may silently continue unencrypted, so Roots refuses them \
         for another machine: use verify-full, or disable if the network between is trusted"
    )]
    UncertainTls,
}
