//! Which mail hosts mail can go to at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether mail from the public Internet can reach this address: not loopback, private (RFC 1918, RFC 4193),
/// link-local, shared by a carrier (RFC 6598), unspecified, multicast or broadcast.
///
/// Addresses reserved for documentation (RFC 5737, RFC 3849) pass: no real domain points there, and stand-ins do.
pub(crate) fn is_reachable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let carrier = a == 100 && (64..128).contains(&b);
            let nowhere = a == 0 || v4.is_broadcast() || v4.is_multicast();
            let local = v4.is_loopback() || v4.is_private() || v4.is_link_local();
            !(carrier || nowhere || local)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// Whether an MX exchange (lower-case, no trailing dot) can be a mail host by its name alone: RFC 5321 section 5.1
/// wants a domain name, so neither an address nor this machine.
pub(crate) fn is_host_name(exchange: &str) -> bool {
    let local =
        matches!(exchange, "" | "localhost" | "localhost.localdomain") || exchange.ends_with(".localhost");
    let bare = exchange.trim_start_matches('[').trim_end_matches(']');
    let literal = bare.parse::<Ipv4Addr>().is_ok() || bare.parse::<Ipv6Addr>().is_ok();
    !local && !literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_local_addresses_take_no_mail() {
        let bad = "127.0.0.1 0.0.0.0 0.1.2.3 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.1.1 100.64.0.1 \
                   224.0.0.1 255.255.255.255 :: ::1 fe80::1 fc00::1 fd12::1 ff02::1 ::ffff:10.0.0.1";
        for address in bad.split_whitespace() {
            assert!(!is_reachable(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.2.1", "2606:4700::1111"] {
            assert!(is_reachable(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_exchange_must_be_a_name_and_not_this_machine() {
        for bad in ["", "localhost", "mail.localhost", "192.0.2.1", "[192.0.2.1]", "::1"] {
            assert!(!is_host_name(bad), "{bad}");
        }
        for good in ["mx.a.test", "1.a.test", "localhost.a.test"] {
            assert!(is_host_name(good), "{good}");
        }
    }
}
