//! Whether a connection to PostgreSQL is encrypted, and which servers may answer at its other end.
//!
//! The default depends on where the server is: on this machine nothing is encrypted; elsewhere
//! nothing is sent to a server that does not prove its name. If the URL has no mode, `PGSSLMODE`
//! counts on this machine, where it can only add protection. Elsewhere it could only remove
//! protection, so only the URL counts.

use std::io;
use std::net::IpAddr;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::{DbErr, RuntimeErr, SqlxError};

use super::invalid_url::InvalidUrl;

/// The parameters of a PostgreSQL URL that the driver reads. It ignores others and logs them with
/// their values, so they are refused first.
const PARAMETERS: [&str; 19] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "options[",
];

/// All modes.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The protection against eavesdropping and impersonation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// `disable`: nothing.
    Plain,
    /// `prefer`: nothing, if an attacker prevents encryption.
    IfOffered,
    /// `require`: the connection is encrypted, but any server may answer.
    Encrypted,
    /// `verify-ca`: also, the server has a certificate of a trusted issuer.
    KnownIssuer,
    /// `verify-full`: also, that certificate is for the host's name.
    KnownServer,
}

impl Protection {
    pub(super) const fn mode(self) -> PgSslMode {
        match self {
            Self::Plain => PgSslMode::Disable,
            Self::IfOffered => PgSslMode::Prefer,
            Self::Encrypted => PgSslMode::Require,
            Self::KnownIssuer => PgSslMode::VerifyCa,
            Self::KnownServer => PgSslMode::VerifyFull,
        }
    }
}

/// The location of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerLocation {
    /// On this machine: behind a Unix socket or a loopback address.
    Here,
    /// Anywhere else, according to the URL.
    Elsewhere,
}

impl ServerLocation {
    /// The only name that counts as here is `localhost` (RFC 6761, section 6.3): any other depends
    /// on the resolver.
    pub(super) fn of(options: &PgConnectOptions) -> Self {
        if options.get_socket().is_some() { Self::Here } else { Self::of_host(options.get_host()) }
    }

    fn of_host(host: &str) -> Self {
        let bare = without_brackets(host);
        let is_here = host.starts_with('/')
            || bare.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if is_here { Self::Here } else { Self::Elsewhere }
    }
}

/// Sets the host in the form for the resolver. A URL has brackets around an IPv6 address (RFC 3986,
/// section 3.2.2), and the driver would pass them on.
pub(super) fn with_bare_host(options: PgConnectOptions) -> PgConnectOptions {
    let host = without_brackets(options.get_host()).to_owned();
    options.host(&host)
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The protection of a mode, or of a missing one.
///
/// With `prefer` the driver continues unencrypted if the server, or an attacker, offers no TLS, and
/// with `allow` always. For servers elsewhere both are refused: they look like protection and are
/// none.
fn protection(said: Option<&str>, location: ServerLocation) -> Result<Protection, InvalidUrl> {
    let Some(said) = said else {
        return Ok(match location {
            ServerLocation::Here => Protection::Plain,
            ServerLocation::Elsewhere => Protection::KnownServer,
        });
    };
    match (said.to_ascii_lowercase().as_str(), location) {
        ("disable", _) | ("allow", ServerLocation::Here) => Ok(Protection::Plain),
        ("prefer", ServerLocation::Here) => Ok(Protection::IfOffered),
        ("prefer" | "allow", ServerLocation::Elsewhere) => Err(InvalidUrl::UncertainTls),
        ("require", _) => Ok(Protection::Encrypted),
        ("verify-ca", _) => Ok(Protection::KnownIssuer),
        ("verify-full", _) => Ok(Protection::KnownServer),
        _ => Err(InvalidUrl::UnknownSslMode),
    }
}

/// The protection and the location of the server of a URL.
pub(super) fn of_url(url: &str) -> Result<(Protection, ServerLocation), InvalidUrl> {
    of_url_and_variable(url, mode_of_environment().as_deref(), None)
}

/// The protection of connections to another host by the same URL.
pub(super) fn of_url_for_host(url: &str, host: &str) -> Result<Protection, InvalidUrl> {
    let variable = mode_of_environment();
    Ok(of_url_and_variable(url, variable.as_deref(), Some(host))?.0)
}

/// Whether the URL leads to a Unix socket.
pub(crate) fn is_socket(url: &str) -> bool {
    let options = url.parse::<PgConnectOptions>();
    options
        .is_ok_and(|options| options.get_socket().is_some() || options.get_host().starts_with('/'))
}

fn mode_of_environment() -> Option<String> {
    std::env::var("PGSSLMODE").ok().filter(|mode| !mode.is_empty())
}

fn of_url_and_variable(
    url: &str,
    variable: Option<&str>,
    host: Option<&str>,
) -> Result<(Protection, ServerLocation), InvalidUrl> {
    let rest = url.split('#').next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut said = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(InvalidUrl::UnknownPostgresParameter);
        }
        if matches!(name, "sslmode" | "ssl-mode") {
            said = Some(value);
        }
    }
    if said.is_some_and(|said| !MODES.contains(&said.to_ascii_lowercase().as_str())) {
        return Err(InvalidUrl::UnknownSslMode);
    }
    let options = url.parse::<PgConnectOptions>().map_err(|_| InvalidUrl::UnreadablePostgres)?;
    let location = host.map_or_else(|| ServerLocation::of(&options), ServerLocation::of_host);
    let said = said.or_else(|| variable.filter(|_| location == ServerLocation::Here));
    Ok((protection(said, location)?, location))
}

/// Why no encrypted connection could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The server offers none.
    #[error(
        "the PostgreSQL server does not support TLS: set ssl = on there, or add ?sslmode=disable \
         to the URL if the network between is trusted"
    )]
    NotOffered,
    /// Its certificate was issued by an authority that this system does not trust.
    #[error(
        "the certificate of the PostgreSQL server was issued by an untrusted authority: add \
         ?sslrootcert=/path/to/ca.pem to the URL, with the authority's certificate"
    )]
    UnknownIssuer,
    /// Its certificate is for another name.
    #[error(
        "the certificate of the PostgreSQL server is not for the host that the URL names: name the host as the certificate does, or have one made for this name"
    )]
    OtherName,
    /// Its certificate has expired or is not valid yet.
    #[error(
        "the certificate of the PostgreSQL server is not valid at this time: renew it, or set the clocks"
    )]
    OutOfDate,
    /// A file of certificates that the URL names.
    #[error(
        "a certificate file that the PostgreSQL URL names (sslrootcert, sslcert, sslkey) can't be read: {0}"
    )]
    File(io::ErrorKind),
    /// Anything else.
    #[error("there is no TLS connection to the PostgreSQL server: {0}")]
    Other(String),
}

impl TlsError {
    /// The TLS error of a failed connection, if TLS was the reason.
    pub(super) fn of(error: &DbErr) -> Option<Self> {
        let DbErr::Conn(RuntimeErr::SqlxError(cause)) = error else { return None };
        match &**cause {
            SqlxError::Tls(source) => match source.downcast_ref::<rustls::Error>() {
                Some(error) => Some(Self::of_rustls(error)),
                None if source.to_string().contains("does not support TLS") => {
                    Some(Self::NotOffered)
                }
                None => Some(Self::Other(source.to_string())),
            },
            SqlxError::Io(error) => Self::of_io(error),
            _ => None,
        }
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        if let Some(inner) = error.get_ref() {
            return inner.downcast_ref::<rustls::Error>().map(Self::of_rustls);
        }
        // An address refuses or does not answer; only a file is missing or not readable. The socket
        // of a local server is a file too, but connections to it do not use TLS.
        match error.kind() {
            kind @ (io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                Some(Self::File(kind))
            }
            _ => None,
        }
    }

    fn of_rustls(error: &rustls::Error) -> Self {
        use rustls::CertificateError::{
            BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
            NotValidYet, NotValidYetContext, UnknownIssuer,
        };
        match error {
            // Signed by another issuer of the same name.
            rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => Self::UnknownIssuer,
            rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                Self::OtherName
            }
            rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
            ) => Self::OutOfDate,
            other => Self::Other(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_loopback_addresses_and_localhost_are_local() {
        for host in ["/var/run/postgresql", "127.0.0.1", "127.8.0.1", "::1", "[::1]", "LocalHost"] {
            assert_eq!(ServerLocation::of_host(host), ServerLocation::Here, "{host}");
        }
        for host in [
            "db",
            "db.example",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "[2001:db8::1]",
            "::ffff:127.0.0.1",
            "localhost.example",
            "localhost.",
            "",
        ] {
            assert_eq!(ServerLocation::of_host(host), ServerLocation::Elsewhere, "{host}");
        }
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets_and_no_other_host_changes() {
        for (url, host) in [
            ("postgres://u:p@[::1]:5432/roots", "::1"),
            ("postgres://u:p@[2001:db8::1]/roots", "2001:db8::1"),
            ("postgres://u:p@127.0.0.1/roots", "127.0.0.1"),
            ("postgres://u:p@db.example/roots", "db.example"),
        ] {
            assert_eq!(with_bare_host(url.parse().unwrap()).get_host(), host, "{url}");
        }
    }

    #[test]
    fn a_remote_server_must_prove_its_name_unless_the_url_says_otherwise() {
        let of = |url: &str| of_url_and_variable(url, None, None).map(|(protection, _)| protection);
        for (url, expected) in [
            ("postgres://u:p@db.example/roots", Ok(Protection::KnownServer)),
            (
                "postgresql://u:p@10.0.0.1:5432/roots?application_name=a",
                Ok(Protection::KnownServer),
            ),
            ("postgres://u@localhost/roots?host=db.example", Ok(Protection::KnownServer)),
            ("postgres://u@localhost/roots?hostaddr=10.0.0.1", Ok(Protection::KnownServer)),
            ("postgres://u@db/roots?sslmode=verify-ca", Ok(Protection::KnownIssuer)),
            ("postgres://u@db/roots?ssl-mode=require", Ok(Protection::Encrypted)),
            ("postgres://u@db/roots?sslmode=DISABLE", Ok(Protection::Plain)),
            ("postgres://u@db/roots?sslmode=prefer", Err(InvalidUrl::UncertainTls)),
            ("postgres://u@db/roots?sslmode=allow", Err(InvalidUrl::UncertainTls)),
            ("postgres://u@db/roots?sslmode=yes", Err(InvalidUrl::UnknownSslMode)),
            ("postgres://u@db/roots?sslmode", Err(InvalidUrl::UnknownSslMode)),
            ("postgres://u@db/roots?sslmod=disable", Err(InvalidUrl::UnknownPostgresParameter)),
            ("postgres://u@db/roots?passwrd=hunter2", Err(InvalidUrl::UnknownPostgresParameter)),
            ("postgres://u@127.0.0.1/roots", Ok(Protection::Plain)),
            ("postgres://u@[::1]/roots", Ok(Protection::Plain)),
            ("postgres:///roots?host=/run/postgresql", Ok(Protection::Plain)),
            ("postgres://u@localhost/roots?sslmode=prefer", Ok(Protection::IfOffered)),
            ("postgres://u@localhost/roots?sslmode=verify-full", Ok(Protection::KnownServer)),
            ("postgres://u@localhost/roots?options[work_mem]=8MB", Ok(Protection::Plain)),
        ] {
            assert_eq!(of(url), expected, "{url}");
        }
    }

    /// A cluster's coordinator may be on this machine, and its other nodes elsewhere.
    #[test]
    fn another_host_by_the_same_url_must_prove_its_name_if_it_is_elsewhere() {
        let of = |url, host| {
            of_url_and_variable(url, None, Some(host)).map(|(protection, _)| protection)
        };
        let here = "postgres://u@localhost/roots";
        assert_eq!(of(here, "w1.example"), Ok(Protection::KnownServer));
        assert_eq!(of(here, "127.0.0.1"), Ok(Protection::Plain));
        let encrypted = "postgres://u@localhost/roots?sslmode=require";
        assert_eq!(of(encrypted, "w1.example"), Ok(Protection::Encrypted));
        assert!(is_socket("postgres:///roots?host=/run/postgresql") && !is_socket(here));
    }

    #[test]
    fn pgsslmode_adds_protection_for_local_servers_and_removes_none_for_remote_ones() {
        let of = |url: &str, variable| {
            of_url_and_variable(url, Some(variable), None).map(|(protection, _)| protection)
        };
        for variable in MODES.into_iter().chain(["nonsense"]) {
            let elsewhere = of("postgres://u@db/roots", variable);
            assert_eq!(elsewhere, Ok(Protection::KnownServer), "{variable}");
        }
        let here = "postgres://u@localhost/roots";
        assert_eq!(of(here, "disable"), Ok(Protection::Plain));
        assert_eq!(of(here, "prefer"), Ok(Protection::IfOffered));
        assert_eq!(of(here, "verify-full"), Ok(Protection::KnownServer));
        assert_eq!(of(here, "nonsense"), Err(InvalidUrl::UnknownSslMode));
        // If the URL has a mode, it counts.
        for (url, expected) in [
            ("postgres://u@db/roots?sslmode=require", Protection::Encrypted),
            ("postgres://u@localhost/roots?sslmode=disable", Protection::Plain),
        ] {
            assert_eq!(of(url, "verify-ca"), Ok(expected), "{url}");
        }
    }
}
