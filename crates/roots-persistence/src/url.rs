//! Which database.

use std::fmt;
use std::path::PathBuf;

/// Which database: a file of SQLite, or a PostgreSQL.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(crate) Target);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sqlite { file: PathBuf, may_create: bool },
    Postgres { url: String },
}

/// What is wrong with a database URL. Never repeats it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It begins with no scheme that Roots knows.
    #[error("a database URL begins with sqlite:// or postgres://")]
    UnknownScheme,
    /// It names no file.
    #[error("a SQLite URL names a file, such as sqlite://data/roots.db?mode=rwc")]
    NoFile,
    /// It is a database in memory, which would be gone with the process.
    #[error("Roots keeps its data in a file: a SQLite database in memory is not taken")]
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
}

impl DatabaseUrl {
    /// Reads a URL: `sqlite://path?mode=rwc` or `postgres://user:password@host:port/database`.
    ///
    /// # Errors
    /// Says what is wrong, without repeating the URL.
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let readable = text.parse::<sea_orm::sqlx::postgres::PgConnectOptions>().is_ok();
            let url = text.to_owned();
            return readable
                .then_some(Self(Target::Postgres { url }))
                .ok_or(UrlFault::UnreadablePostgres);
        }
        let rest = text.strip_prefix("sqlite:").ok_or(UrlFault::UnknownScheme)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (file, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if file == ":memory:" || parameters.contains("mode=memory") {
            return Err(UrlFault::InMemory);
        }
        if file.is_empty() || file.ends_with('/') {
            return Err(UrlFault::NoFile);
        }
        let may_create = match parameters {
            "mode=rwc" => true,
            "" | "mode=rw" => false,
            _ => return Err(UrlFault::UnknownParameter),
        };
        Ok(Self(Target::Sqlite { file: PathBuf::from(file), may_create }))
    }

    /// The same database, but never a new one: for whoever only looks at or adds to what is there.
    #[must_use]
    pub fn existing(self) -> Self {
        match self.0 {
            Target::Sqlite { file, .. } => Self(Target::Sqlite { file, may_create: false }),
            postgres @ Target::Postgres { .. } => Self(postgres),
        }
    }
}

/// Tells which kind of database it is and, for a file, which; never a password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite { file, .. } => write!(f, "sqlite://{}", file.display()),
            Target::Postgres { .. } => f.write_str("postgres://…"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_with_a_reason() {
        let sqlite = |file: &str, may_create| Target::Sqlite { file: file.into(), may_create };
        let read = |text| DatabaseUrl::parse(text).map(|url| url.0);
        assert!(read("sqlite://data/roots.db?mode=rwc") == Ok(sqlite("data/roots.db", true)));
        assert!(read("sqlite:///var/roots.db") == Ok(sqlite("/var/roots.db", false)));
        assert!(read("postgres://u:p@localhost:5432/roots").is_ok());
        for (text, fault) in [
            ("mysql://x", UrlFault::UnknownScheme),
            ("", UrlFault::UnknownScheme),
            ("sqlite://", UrlFault::NoFile),
            ("sqlite://data/?mode=rwc", UrlFault::NoFile),
            ("sqlite::memory:", UrlFault::InMemory),
            ("sqlite://x?mode=memory", UrlFault::InMemory),
            ("sqlite://x?cache=shared", UrlFault::UnknownParameter),
            ("postgres://u:p@host:port/x", UrlFault::UnreadablePostgres),
        ] {
            assert!(read(text) == Err(fault), "{text}");
        }
    }

    #[test]
    fn an_existing_database_is_never_made() {
        let url = DatabaseUrl::parse("sqlite://x.db?mode=rwc").unwrap().existing();
        assert!(url == DatabaseUrl::parse("sqlite://x.db").unwrap());
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://roots:hunter2@localhost/roots").unwrap();
        assert!(!format!("{url} {url:?}").contains("hunter2"));
    }
}
