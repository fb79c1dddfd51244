//! Whence notifications may come.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// A list of networks, as `41.74.179.192/27,144.126.193.139/32`; an address alone is a network of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<(u128, u32)>);

/// An address as one of the sixteen octets of IPv6, a mapped one the same as the IPv4 address that it stands for.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => Ipv6Addr::to_bits(six),
    }
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

impl Sources {
    /// Whether an address is in one of the networks.
    pub fn have(&self, address: IpAddr) -> bool {
        let address = number(address);
        self.0.iter().any(|(network, bits)| address & mask(*bits) == *network)
    }
}

impl FromStr for Sources {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let network = |part: &str| {
            let why = || format!("{part:?} is no network such as 41.74.179.192/27");
            let (address, bits) = match part.split_once('/') {
                Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| why())?)),
                None => (part, None),
            };
            let address: IpAddr = address.parse().map_err(|_| why())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(most);
            if bits > most {
                return Err(why());
            }
            let bits = bits + 128 - most;
            let number = number(address);
            // `41.74.179.195/27` says one thing and means another.
            if number & mask(bits) != number {
                return Err(format!("{part:?} has bits beyond its network"));
            }
            Ok((number, bits))
        };
        let all = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self(all.map(network).collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As published (`docs/decisions/payfast.md`).
    const PUBLISHED: &str =
        "197.97.145.144/28,41.74.179.192/27,102.216.36.0/28,102.216.36.128/28,144.126.193.139/32";

    #[test]
    fn an_address_is_in_the_published_networks_or_not() {
        let sources: Sources = PUBLISHED.parse().unwrap();
        for inside in [
            "197.97.145.144",
            "197.97.145.159",
            "41.74.179.192",
            "41.74.179.223",
            "102.216.36.0",
            "102.216.36.15",
            "102.216.36.143",
            "144.126.193.139",
            "::ffff:144.126.193.139",
        ] {
            assert!(sources.have(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "197.97.145.143",
            "197.97.145.160",
            "41.74.179.191",
            "41.74.179.224",
            "102.216.36.16",
            "144.126.193.138",
            "127.0.0.1",
            "0.0.0.0",
            "::1",
            "::144.126.193.139",
        ] {
            assert!(!sources.have(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn lists_are_read_strictly() {
        let sources: Sources = " 10.0.0.0/8 , 2001:db8::/32, 192.0.2.1 ,".parse().unwrap();
        for inside in ["10.255.0.1", "2001:db8:1::", "192.0.2.1"] {
            assert!(sources.have(inside.parse().unwrap()), "{inside}");
        }
        assert!(!sources.have("192.0.2.2".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Sources>().unwrap().have("8.8.8.8".parse().unwrap()));
        assert!(!"0.0.0.0/0".parse::<Sources>().unwrap().have("2001:db8::1".parse().unwrap()));
        assert!(!"".parse::<Sources>().unwrap().have("8.8.8.8".parse().unwrap()));
        for wrong in
            ["10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "example.com", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8"]
        {
            assert!(wrong.parse::<Sources>().is_err(), "{wrong}");
        }
    }
}
