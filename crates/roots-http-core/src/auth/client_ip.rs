//! The client's address: the peer of the connection or, where that is a trusted proxy, the address
//! that the proxy names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use roots_domain::model::Invalid;

/// The header to which proxies append their client's address. `Forwarded` is not read: a proxy that
/// writes only one of the two passes the other on as its client sent it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A proxy, or a network of them, whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

impl TrustedProxy {
    /// Reads an address, or a network in CIDR notation.
    ///
    /// # Errors
    /// Says the form. A network of all addresses is refused: every client could then choose its
    /// address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let alone = || text.parse().map(|ip: IpAddr| IpNet::from(ip.to_canonical()));
        let net: IpNet = text.parse().or_else(|_| alone()).map_err(|_| {
            Invalid::new("must be an IP address, or a network such as 10.0.0.0/8 or fd00::/8")
        })?;
        if net.prefix_len() == 0 {
            return Err(Invalid::new("must not cover every address"));
        }
        Ok(Self(net))
    }
}

/// The address by which a request's client is counted. Without a known peer, all clients share one.
pub fn of_request(request: &Request, trusted: &[TrustedProxy]) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    client_network(of_client(peer, request.headers(), trusted))
}

/// The client's address, as far as it can be trusted.
pub fn of_client(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxy]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    // From the right, because each proxy appends the address that it sees. Everything left of the
    // first untrusted address could be forged. An entry that is no address ends the walk at the
    // last trusted one.
    while is_trusted(trusted, nearest) {
        match hops.next().and_then(hop) {
            Some(further) => nearest = further,
            None => break,
        }
    }
    nearest
}

/// Whether an address is a trusted proxy's.
#[must_use]
pub fn is_trusted(trusted: &[TrustedProxy], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    trusted.iter().any(|TrustedProxy(net)| net.contains(&ip))
}

/// The address by which a client is counted. For IPv6 it is the network of 64 bits, which one
/// client usually has.
#[must_use]
pub fn client_network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// An address as proxies write it: some with the port, some in brackets.
fn hop(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, lines: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"];
        let trusted = trusted.map(|text| TrustedProxy::parse(text).unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        client_network(of_client(peer.parse().unwrap(), &headers, &trusted)).to_string()
    }

    #[test]
    fn forwarded_addresses_from_an_untrusted_peer_are_ignored() {
        assert_eq!(of("203.0.113.7", &[]), "203.0.113.7");
        assert_eq!(of("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
    }

    #[test]
    fn the_client_is_the_rightmost_forwarded_address_that_is_no_trusted_proxy() {
        assert_eq!(of("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("10.1.2.3", &["1.1.1.1, 198.51.100.1, 10.9.9.9"]), "198.51.100.1");
        assert_eq!(of("10.1.2.3", &["1.1.1.1", "198.51.100.1,192.0.2.1 "]), "198.51.100.1");
        assert_eq!(of("10.1.2.3", &["1.1.1.1, 198.51.100.1", "10.0.0.1"]), "198.51.100.1");
        assert_eq!(of("::ffff:10.1.2.3", &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(of("fd00::1", &["198.51.100.1:4711"]), "198.51.100.1");
    }

    #[test]
    fn malformed_forwarded_addresses_are_ignored() {
        for line in ["", "unknown", "_hidden", "198.51.100", "x, ", "198.51.100.1, y", "1.1.1.1,,"]
        {
            assert_eq!(of("10.1.2.3", &[line]), "10.1.2.3", "{line}");
            assert_eq!(of("10.1.2.3", &["1.1.1.1", line]), "10.1.2.3", "{line}");
        }
        assert_eq!(of("10.1.2.3", &["1.1.1.1, z, 10.0.0.2"]), "10.0.0.2");
        // All of them proxies: the outermost has asked itself.
        assert_eq!(of("10.1.2.3", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(of("10.1.2.3", &[]), "10.1.2.3");
    }

    #[test]
    fn an_ipv6_client_is_identified_by_its_64_bit_network() {
        assert_eq!(of("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
        assert_eq!(of("10.1.2.3", &["[2001:db8:1:2:ffff::1]:443"]), "2001:db8:1:2::");
        assert_eq!(of("10.1.2.3", &["[2001:db8:1:2:ffff::1]"]), "2001:db8:1:2::");
    }

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_network() {
        for good in ["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "::ffff:10.0.0.1"] {
            assert!(TrustedProxy::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0", "0.0.0.0/0", "::/0", "10.0.0.1:80"] {
            assert!(TrustedProxy::parse(bad).is_err(), "{bad}");
        }
    }
}
