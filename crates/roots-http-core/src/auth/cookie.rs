//! The cookie of a sign-in: which one a browser keeps, how it is set and how it is read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::header::{COOKIE, USER_AGENT};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use roots_domain::model::sign_in::Stay;
use roots_domain::model::text::Name;
use secrecy::{ExposeSecret, SecretString};

use super::client_ip::{self, TrustedProxy};
use crate::middleware::hosts::HostName;

/// The header in which a proxy names the scheme by which it was called.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The port of plain HTTP, if none is named.
const HTTP_PORT: u16 = 80;

/// What decides which cookies can be set.
#[derive(Debug, Clone, Default)]
pub struct CookiePolicy {
    /// The proxies whose `X-Forwarded-Proto` is believed.
    pub trusted: Vec<TrustedProxy>,
    /// Whether cookies may travel over plain HTTP between machines.
    pub allows_plain: bool,
}

/// How a browser reached this server, and so which cookie it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieMode {
    /// Over HTTPS: `__Host-roots`, which is never sent over plain HTTP and which no other host can
    /// set (RFC 6265bis).
    Secure,
    /// Over plain HTTP on the same machine: `roots-PORT`. Cookies ignore ports, so each server on
    /// the machine has a name of its own.
    Loopback {
        /// The port that the browser called.
        port: u16,
    },
    /// Over plain HTTP from another machine, which the operator allows: `roots`. Everybody on the
    /// way can read it.
    Plain,
    /// Over plain HTTP from another machine: browsers drop a `Secure` cookie without a word, so
    /// none is set, and nobody can sign in.
    Dropped,
}

impl CookiePolicy {
    /// The mode of a request.
    #[must_use]
    pub fn mode(&self, extensions: &Extensions, uri: &Uri, headers: &HeaderMap) -> CookieMode {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
        if client_ip::is_trusted(&self.trusted, peer) && is_https(headers) {
            return CookieMode::Secure;
        }
        match HostName::called(uri, headers) {
            Some(host) if host.is_loopback() => {
                CookieMode::Loopback { port: host.port().unwrap_or(HTTP_PORT) }
            }
            _ if self.allows_plain => CookieMode::Plain,
            _ => CookieMode::Dropped,
        }
    }
}

/// Whether the first proxy was called over HTTPS. A browser can't forge the header on its own, and
/// a client that does gets a cookie that it can't keep.
fn is_https(headers: &HeaderMap) -> bool {
    let first = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
    let first = first.and_then(|value| value.split(',').next());
    first.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

impl CookieMode {
    /// The name of the cookie; `None` if the browser would drop it.
    #[must_use]
    pub fn name(self) -> Option<String> {
        match self {
            Self::Secure => Some("__Host-roots".to_owned()),
            Self::Loopback { port } => Some(format!("roots-{port}")),
            Self::Plain => Some("roots".to_owned()),
            Self::Dropped => None,
        }
    }

    /// The `Set-Cookie` that holds a browser key. It ends with the browser's session or, if the
    /// person stays signed in, as late as the sign-in may.
    #[must_use]
    pub fn set(self, browser_key: &SecretString, stay: Stay) -> Option<HeaderValue> {
        let age = match stay {
            Stay::Usual => String::new(),
            Stay::Long => format!("; Max-Age={}", stay.lasts_seconds()),
        };
        self.cookie(browser_key.expose_secret(), &age)
    }

    /// The `Set-Cookie` that removes the cookie.
    #[must_use]
    pub fn clear(self) -> Option<HeaderValue> {
        self.cookie("", "; Max-Age=0")
    }

    fn cookie(self, value: &str, age: &str) -> Option<HeaderValue> {
        let name = self.name()?;
        let secure = if self == Self::Secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
        let mut cookie = HeaderValue::try_from(text).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }

    /// Takes the browser key out of the headers, so that nothing further on can print it. Other
    /// cookies stay. Of two different values none is right: another server of the machine has set
    /// one of them.
    pub(super) fn take(self, headers: &mut HeaderMap) -> Option<SecretString> {
        let name = self.name()?;
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        for value in headers.get_all(COOKIE) {
            let Ok(text) = value.to_str() else { continue };
            for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
                match pair.split_once('=') {
                    Some((key, value)) if key.trim() == name => {
                        found.push(SecretString::from(value.trim()));
                    }
                    _ => rest.push(pair.to_owned()),
                }
            }
        }
        headers.remove(COOKIE);
        if !rest.is_empty()
            && let Ok(rest) = HeaderValue::try_from(rest.join("; "))
        {
            headers.insert(COOKIE, rest);
        }
        found.retain(|value| !value.expose_secret().is_empty());
        let mut found = found.into_iter();
        let first = found.next()?;
        found.all(|other| other.expose_secret() == first.expose_secret()).then_some(first)
    }
}

/// What a browser calls itself, in short, such as `Firefox on Linux`: enough to tell sign-ins
/// apart, and no fingerprint.
#[must_use]
pub fn browser_label(headers: &HeaderMap) -> Option<Name> {
    // Most browsers name others too, so the order matters.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let agent = headers.get(USER_AGENT)?.to_str().ok()?;
    let named = |names: [(&str, &'static str); 7]| {
        names.into_iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| name)
    };
    let label = match (named(BROWSERS), named(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => return None,
    };
    Name::parse(label).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::header::HOST;

    use super::*;

    fn mode_of(policy: &CookiePolicy, peer: &str, host: &str, proto: Option<&str>) -> CookieMode {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4_711)));
        let mut headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
        if let Some(proto) = proto {
            headers.insert(FORWARDED_PROTO, proto.parse().unwrap());
        }
        policy.mode(&extensions, &Uri::from_static("/"), &headers)
    }

    fn proxied() -> CookiePolicy {
        let trusted = vec![TrustedProxy::parse("10.0.0.1").unwrap()];
        CookiePolicy { trusted, allows_plain: false }
    }

    #[test]
    fn https_is_believed_of_a_trusted_proxy_alone() {
        let policy = proxied();
        let mode = |peer, proto| mode_of(&policy, peer, "roots.example", proto);
        assert_eq!(mode("10.0.0.1", Some("https")), CookieMode::Secure);
        assert_eq!(mode("::ffff:10.0.0.1", Some("HTTPS, http")), CookieMode::Secure);
        assert_eq!(mode("10.0.0.1", Some("http")), CookieMode::Dropped);
        assert_eq!(mode("10.0.0.1", None), CookieMode::Dropped);
        assert_eq!(mode("10.0.0.2", Some("https")), CookieMode::Dropped);
        // A proxy on the same machine keeps the host's name.
        assert_eq!(mode_of(&policy, "10.0.0.1", "localhost", Some("https")), CookieMode::Secure);
    }

    #[test]
    fn on_plain_http_only_loopback_hosts_get_a_cookie_unless_it_is_allowed() {
        let strict = CookiePolicy::default();
        let mode = |host| mode_of(&strict, "127.0.0.1", host, None);
        for (host, port) in [
            ("localhost:8080", 8_080),
            ("LOCALHOST.:1", 1),
            ("127.0.0.1", 80),
            ("127.8.8.8:3000", 3_000),
            ("[::1]:8081", 8_081),
        ] {
            assert_eq!(mode(host), CookieMode::Loopback { port }, "{host}");
        }
        for host in ["roots.example", "localhost.example:8080", "10.0.0.1:8080", "[::2]:80", "a b"]
        {
            assert_eq!(mode(host), CookieMode::Dropped, "{host}");
        }
        let plain = CookiePolicy { allows_plain: true, ..CookiePolicy::default() };
        assert_eq!(mode_of(&plain, "10.0.0.1", "roots.example", None), CookieMode::Plain);
        let loopback = CookieMode::Loopback { port: 8_080 };
        assert_eq!(mode_of(&plain, "127.0.0.1", "localhost:8080", None), loopback);
    }

    #[test]
    fn each_mode_has_a_cookie_of_its_own() {
        let key = SecretString::from("roots-browser_1_abc");
        let set = |mode: CookieMode, stay| {
            mode.set(&key, stay).map(|value| value.to_str().unwrap().to_owned())
        };
        let loopback = CookieMode::Loopback { port: 8_080 };
        assert_eq!(
            set(CookieMode::Secure, Stay::Usual).as_deref(),
            Some("__Host-roots=roots-browser_1_abc; Path=/; HttpOnly; SameSite=Lax; Secure")
        );
        assert_eq!(
            set(CookieMode::Secure, Stay::Long).as_deref(),
            Some(
                "__Host-roots=roots-browser_1_abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000"
            )
        );
        assert_eq!(
            set(loopback, Stay::Usual).as_deref(),
            Some("roots-8080=roots-browser_1_abc; Path=/; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            set(CookieMode::Plain, Stay::Usual).as_deref(),
            Some("roots=roots-browser_1_abc; Path=/; HttpOnly; SameSite=Lax")
        );
        assert_eq!(set(CookieMode::Dropped, Stay::Usual), None);
        assert_eq!(
            CookieMode::Secure.clear().unwrap(),
            "__Host-roots=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert!(CookieMode::Secure.set(&key, Stay::Usual).unwrap().is_sensitive());
        assert_eq!(CookieMode::Dropped.clear(), None);
    }

    fn take(mode: CookieMode, lines: &[&'static str]) -> (Option<String>, Vec<String>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        let taken = mode.take(&mut headers).map(|key| key.expose_secret().to_owned());
        let left = headers.get_all(COOKIE).iter().map(|left| left.to_str().unwrap().to_owned());
        (taken, left.collect())
    }

    #[test]
    fn the_key_is_taken_out_of_the_cookies_and_the_others_stay() {
        let mode = CookieMode::Loopback { port: 8_080 };
        let key = |text: &str| Some(text.to_owned());
        let zone = || vec!["zone=Europe/Berlin".to_owned()];
        assert_eq!(take(mode, &["roots-8080=k"]), (key("k"), vec![]));
        assert_eq!(take(mode, &["zone=Europe/Berlin; roots-8080=k"]), (key("k"), zone()));
        assert_eq!(take(mode, &["roots-8080=k", "zone=Europe/Berlin"]), (key("k"), zone()));
        assert_eq!(take(mode, &["roots-8080=k; roots-8080=k"]), (key("k"), vec![]));
        // Cookies of other servers of the machine.
        let others = "roots-8081=k; roots=k; __Host-roots=k; xroots-8080=k";
        assert_eq!(take(mode, &[others]), (None, vec![others.to_owned()]));
        for none in ["", "roots-8080", "roots-8080=", "roots-8080=a; roots-8080=b", ";;="] {
            assert_eq!(take(mode, &[none]).0, None, "{none}");
        }
        assert_eq!(take(CookieMode::Dropped, &["roots=k"]), (None, vec!["roots=k".to_owned()]));
    }

    #[test]
    fn a_browser_is_named_in_short() {
        let label = |agent: &'static str| {
            let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
            browser_label(&headers).map(|label| label.as_str().to_owned())
        };
        for (agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                Some("Firefox on Linux"),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0",
                Some("Edge on Windows"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                Some("Chrome on Android"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
                Some("Safari on iPhone"),
            ),
            ("curl/8.14.1", None),
        ] {
            assert_eq!(label(agent).as_deref(), expected, "{agent}");
        }
        assert_eq!(browser_label(&HeaderMap::new()), None);
    }
}
