//! The names of this server. A web page can make its own name point to this machine (DNS
//! rebinding), and its requests then count as those of the same origin; only their `Host` shows it.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use roots_domain::model::Invalid;

use crate::problem::Problem;

/// A name or an address by which clients call this server, with any port or with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// In lower case, without brackets and without a dot at its end.
    name: String,
    port: Option<u16>,
}

impl HostName {
    /// Parses `example.org`, `example.org:8443`, `10.0.0.1` or `[::1]`.
    ///
    /// # Errors
    /// Says the form.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::read(text).ok_or_else(|| {
            Invalid::new("must be a host such as example.org, 10.0.0.1 or [::1], without a scheme")
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !name.ends_with(':') && !port.ends_with(']') => {
                (name, Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        // Only addresses of IPv6 have colons, and they stand in brackets.
        let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = if let Some(inner) = bracketed {
            inner.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?.to_string()
        } else {
            let name = name.strip_suffix('.').unwrap_or(name);
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            let is_name = !name.is_empty() && name.bytes().all(is_plain);
            is_name.then(|| name.to_ascii_lowercase())?
        };
        Some(Self { name, port })
    }

    /// The host that a request calls. A target with a host (RFC 9112, 3.2.2) overrides the header.
    /// `None` if it names none, or several.
    #[must_use]
    pub fn called(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        if let Some(authority) = uri.authority().map(Authority::as_str) {
            return Self::read(authority);
        }
        let mut given = headers.get_all(HOST).iter();
        let (Some(only), None) = (given.next(), given.next()) else { return None };
        Self::read(only.to_str().ok()?)
    }

    /// Whether it is this machine, seen from itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let is_address = || self.name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.name == "localhost" || is_address()
    }

    /// The port that it names.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    fn address(ip: IpAddr) -> Self {
        Self { name: ip.to_string(), port: None }
    }

    fn matches(&self, called: &Self) -> bool {
        self.name == called.name && (self.port.is_none() || self.port == called.port)
    }
}

/// The names of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any: nothing is checked.
    Any,
    /// These.
    Named(Vec<HostName>),
}

impl Default for Hosts {
    /// The loopback names.
    fn default() -> Self {
        let loopback = ["localhost", "127.0.0.1", "::1"];
        Self::Named(loopback.map(|name| HostName { name: name.to_owned(), port: None }).into())
    }
}

impl Hosts {
    /// The loopback names, the address that the server listens on, and those that the operator has
    /// named. An address that means all addresses of the machine is no name.
    ///
    /// The loopback names are always the server's: no page of another machine can have one of them
    /// as its own, and a tunnel of SSH ends at one.
    #[must_use]
    pub fn with_names(address: SocketAddr, given: Vec<HostName>) -> Self {
        let Self::Named(mut names) = Self::default() else { return Self::Any };
        let own = HostName::address(address.ip());
        if !address.ip().is_unspecified() && !names.contains(&own) {
            names.push(own);
        }
        names.extend(given);
        Self::Named(names)
    }

    /// Refuses a request that calls the server by another name.
    ///
    /// # Errors
    /// 403: it names no host, several, or one that is not the server's.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Self::Named(names) = self else { return Ok(()) };
        let called = HostName::called(uri, headers).ok_or_else(Problem::foreign_host)?;
        if names.iter().any(|name| name.matches(&called)) {
            return Ok(());
        }
        Err(Problem::foreign_host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(hosts: &Hosts, host: &str) -> bool {
        let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        hosts.check(&Uri::from_static("/mcp"), &headers).is_ok()
    }

    fn named(names: &[&str]) -> Hosts {
        Hosts::Named(names.iter().map(|name| HostName::parse(name).unwrap()).collect())
    }

    #[test]
    fn by_default_the_loopback_names_and_the_bound_address_are_the_servers() {
        let of = |ip: [u8; 4]| Hosts::with_names(SocketAddr::from((ip, 8080)), Vec::new());
        let hosts = of([10, 1, 2, 3]);
        for own in
            ["localhost", "LocalHost.:1", "127.0.0.1:8080", "[::1]", "[0:0::1]:1", "10.1.2.3:8080"]
        {
            assert!(is_own(&hosts, own), "{own}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "127.0.0.2", "10.1.2.3.evil", ""]
        {
            assert!(!is_own(&hosts, foreign), "{foreign}");
        }
        assert_eq!(of([0, 0, 0, 0]), Hosts::default());
        assert_eq!(of([127, 0, 0, 1]), Hosts::default());
    }

    #[test]
    fn named_hosts_are_added_to_the_loopback_names() {
        let name = HostName::parse("roots.example.org").unwrap();
        let hosts = Hosts::with_names(SocketAddr::from(([0, 0, 0, 0], 8080)), vec![name]);
        for own in ["roots.example.org:8080", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
            assert!(is_own(&hosts, own), "{own}");
        }
        assert!(!is_own(&hosts, "evil.example"));
    }

    #[test]
    fn a_name_with_a_port_holds_for_that_port_only() {
        let hosts = named(&["Roots.example.org", "other.example:8443", "[2001:db8::1]:80"]);
        for own in ["roots.example.org", "roots.example.org:1", "other.example:8443"] {
            assert!(is_own(&hosts, own), "{own}");
        }
        assert!(is_own(&hosts, "[2001:DB8:0::1]:80"));
        for foreign in ["other.example", "other.example:1", "[2001:db8::1]", "localhost"] {
            assert!(!is_own(&hosts, foreign), "{foreign}");
        }
    }

    #[test]
    fn a_request_without_one_host_is_refused_and_the_target_wins() {
        let (hosts, path) = (Hosts::default(), Uri::from_static("/mcp"));
        assert!(hosts.check(&path, &HeaderMap::new()).is_err());
        assert!(Hosts::Any.check(&path, &HeaderMap::new()).is_ok());
        let mut headers = HeaderMap::new();
        headers.append(HOST, "localhost".parse().unwrap());
        assert!(hosts.check(&path, &headers).is_ok());
        let absolute = Uri::from_static("http://evil.example/mcp");
        assert!(hosts.check(&absolute, &headers).is_err());
        headers.append(HOST, "localhost".parse().unwrap());
        assert!(hosts.check(&path, &headers).is_err());
    }

    #[test]
    fn what_is_no_host_is_refused_as_a_name() {
        for bad in
            ["", "http://x", "x/y", "x:port", "x:99999", "::1", "[x]", "[127.0.0.1]", "*", "a b"]
        {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
    }
}
