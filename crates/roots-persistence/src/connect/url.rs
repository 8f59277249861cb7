//! Database URLs.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::invalid_url::InvalidUrl;
use super::tls::{self, Protection, ServerLocation};

/// A database: a SQLite file, or a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub(super) DatabaseTarget);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum DatabaseTarget {
    Sqlite { file: PathBuf, may_create: bool },
    Postgres { url: String },
}

impl DatabaseUrl {
    /// Reads a URL: `sqlite://path?mode=rwc` or `postgres://user:password@host:port/database`.
    ///
    /// In the path `%` and two hexadecimal digits stand for a byte, as in sqlx and SQLite's own
    /// URLs: `%20` is a space, `%3F` a question mark, `%25` a percent sign. Any other `%` is
    /// itself.
    ///
    /// A PostgreSQL server on another machine must prove its name by its certificate
    /// (`sslmode=verify-full`), unless the URL says otherwise. On this machine, which is a Unix
    /// socket, a loopback address or `localhost`, nothing is encrypted unless the URL or
    /// `PGSSLMODE` says so.
    ///
    /// # Errors
    /// Says what is wrong, without repeating the URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            tls::of_url(text)?;
            return Ok(Self(DatabaseTarget::Postgres { url: text.to_owned() }));
        }
        let rest = text.strip_prefix("sqlite:").ok_or(InvalidUrl::UnknownScheme)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (file, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if file == ":memory:" || parameters.contains("mode=memory") {
            return Err(InvalidUrl::InMemory);
        }
        if file.is_empty() || file.ends_with('/') {
            return Err(InvalidUrl::NoFile);
        }
        let may_create = match parameters {
            "mode=rwc" => true,
            "" | "mode=rw" => false,
            _ => return Err(InvalidUrl::UnknownParameter),
        };
        let file = percent_decode_str(file).decode_utf8().map_err(|_| InvalidUrl::NotUtf8)?;
        Ok(Self(DatabaseTarget::Sqlite { file: PathBuf::from(file.as_ref()), may_create }))
    }

    /// A warning for the operator about the connection to the database, if there is cause: others
    /// may read it, or answer in the database's place.
    #[must_use]
    pub fn caution(&self) -> Option<&'static str> {
        let DatabaseTarget::Postgres { url } = &self.0 else { return None };
        match tls::of_url(url) {
            Ok((Protection::Plain | Protection::IfOffered, ServerLocation::Elsewhere)) => Some(
                "the connection to PostgreSQL is not encrypted: the password, keys' hashes and everything that is not sealed can be read on the way",
            ),
            Ok((Protection::Encrypted, ServerLocation::Elsewhere)) => Some(
                "the connection to PostgreSQL is encrypted, but the server's certificate is not checked: another machine could answer in its place",
            ),
            _ => None,
        }
    }

    /// The URL of a PostgreSQL database.
    pub(crate) fn postgres(&self) -> Option<&str> {
        match &self.0 {
            DatabaseTarget::Postgres { url } => Some(url),
            DatabaseTarget::Sqlite { .. } => None,
        }
    }

    /// The same database, but it must exist: for commands that only read it or add to it.
    #[must_use]
    pub fn existing(self) -> Self {
        match self.0 {
            DatabaseTarget::Sqlite { file, .. } => {
                Self(DatabaseTarget::Sqlite { file, may_create: false })
            }
            postgres @ DatabaseTarget::Postgres { .. } => Self(postgres),
        }
    }
}

/// Prints the kind of database and, for SQLite, the file; never a password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            DatabaseTarget::Sqlite { file, .. } => write!(f, "sqlite://{}", file.display()),
            DatabaseTarget::Postgres { .. } => f.write_str("postgres://…"),
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
    use sea_orm::sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    #[test]
    fn database_urls_are_parsed_or_refused_with_a_reason() {
        let sqlite =
            |file: &str, may_create| DatabaseTarget::Sqlite { file: file.into(), may_create };
        let read = |text| DatabaseUrl::parse(text).map(|url| url.0);
        assert!(read("sqlite://data/roots.db?mode=rwc") == Ok(sqlite("data/roots.db", true)));
        assert!(read("sqlite:///var/roots.db") == Ok(sqlite("/var/roots.db", false)));
        assert!(read("postgres://u:p@localhost:5432/roots").is_ok());
        for (path, file) in [
            ("with%20space.db", "with space.db"),
            ("with space.db", "with space.db"),
            ("what%3f.db", "what?.db"),
            ("%c3%A9.db", "é.db"),
            ("100%25.db", "100%.db"),
            ("100%.db", "100%.db"),
            ("a+b.db", "a+b.db"),
        ] {
            let text = format!("sqlite:///var/{path}?mode=rwc");
            let file = format!("/var/{file}");
            let url = DatabaseUrl::parse(&text).map(|url| url.0);
            assert!(url == Ok(sqlite(&file, true)), "{text}");
            // The driver parses it the same way.
            let driver: SqliteConnectOptions = text.parse().unwrap();
            assert_eq!(driver.get_filename().to_str(), Some(file.as_str()));
        }
        for (text, error) in [
            ("mysql://x", InvalidUrl::UnknownScheme),
            ("", InvalidUrl::UnknownScheme),
            ("sqlite://", InvalidUrl::NoFile),
            ("sqlite://data/?mode=rwc", InvalidUrl::NoFile),
            ("sqlite::memory:", InvalidUrl::InMemory),
            ("sqlite://%ff.db", InvalidUrl::NotUtf8),
            ("sqlite://x?mode=memory", InvalidUrl::InMemory),
            ("sqlite://x?cache=shared", InvalidUrl::UnknownParameter),
            ("postgres://u:p@host:port/x", InvalidUrl::UnreadablePostgres),
        ] {
            assert!(read(text) == Err(error), "{text}");
        }
    }

    #[test]
    fn an_unprotected_connection_to_another_machine_gets_a_caution() {
        let caution = |text| DatabaseUrl::parse(text).unwrap().caution();
        let plain = caution("postgres://u:hunter2@db/roots?sslmode=disable").unwrap();
        assert!(plain.contains("not encrypted") && !plain.contains("hunter2"), "{plain}");
        let unchecked = caution("postgres://u:hunter2@db/roots?sslmode=require").unwrap();
        assert!(unchecked.contains("not checked"), "{unchecked}");
        for quiet in [
            "sqlite://x.db",
            "postgres://u@db/roots",
            "postgres://u@db/roots?sslmode=verify-ca",
            "postgres://u@localhost/roots",
            "postgres://u@127.0.0.1/roots?sslmode=require",
        ] {
            assert_eq!(caution(quiet), None, "{quiet}");
        }
    }

    #[test]
    fn the_url_of_an_existing_database_never_creates_a_file() {
        let url = DatabaseUrl::parse("sqlite://x.db?mode=rwc").unwrap().existing();
        assert!(url == DatabaseUrl::parse("sqlite://x.db").unwrap());
    }

    #[test]
    fn the_password_of_a_database_url_is_never_shown() {
        let url = DatabaseUrl::parse("postgres://roots:hunter2@localhost/roots").unwrap();
        assert!(!format!("{url} {url:?}").contains("hunter2"));
    }
}
