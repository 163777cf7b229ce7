//! Addresses, and networks of them as `cidrMatch` and KQL name them: `10.0.0.0/8`, `fe80::/10`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// How many bits of a mapped address say that it is one.
const MAPPED_BITS: u32 = 96;

/// One address, however it is spelt: that of IPv4 and the same mapped into IPv6 are one. In Elasticsearch's order, in
/// which those of IPv4 stand among the others as mapped ones.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Address([u8; 16]);

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        Address(match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        })
    }
}

impl Address {
    pub(crate) fn parse(text: &str) -> Option<Address> {
        text.parse::<IpAddr>().ok().map(Address::from)
    }
}

/// The one spelling in which records hold it.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv6Addr::from(self.0).to_canonical().fmt(formatter)
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Network {
    address: Address,
    prefix: u32,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        // Behind a mapped address fewer bits than say that it is one could be meant as those of IPv4.
        let (before, bits) = match address {
            IpAddr::V4(_) => (MAPPED_BITS, 0..=32),
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => (0, MAPPED_BITS..=128),
            IpAddr::V6(_) => (0, 0..=128),
        };
        let prefix = prefix.unwrap_or(*bits.end());
        bits.contains(&prefix).then_some(Network {
            address: address.into(),
            prefix: before + prefix,
        })
    }

    /// Whether the address is one of the network.
    pub(crate) fn contains(&self, address: Address) -> bool {
        let bits = |address: Address| u128::from_be_bytes(address.0);
        (bits(self.address) ^ bits(address)).leading_zeros() >= self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_within_a_network() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.168.1.1", "192.168.1.1", true),
            ("192.168.1.1", "192.168.1.2", false),
            ("192.168.1.1", "::ffff:c0a8:101", true),
            ("fe80::/10", "fe80::1", true),
            ("fe80::/10", "2001:db8::1", false),
            ("::1", "0:0:0:0:0:0:0:1", true),
            // As in Elasticsearch, where all addresses are of IPv6.
            ("::/0", "1.2.3.4", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.200.3.4", true),
            ("::ffff:10.0.0.0/104", "11.0.0.0", false),
            ("::ffff:0:0/96", "1.2.3.4", true),
            ("::ffff:0:0/96", "::1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.0/8", "ten", false),
        ] {
            assert_eq!(
                Network::parse(network)
                    .map(|network| Address::parse(address).is_some_and(|address| network.contains(address))),
                Some(expected),
                "{network} {address}"
            );
        }
        let none = [
            "",
            "10.0.0.0/33",
            "fe80::/129",
            "a/8",
            "10.0.0.0/x",
            "::ffff:10.0.0.0/8",
        ];
        for text in none {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_has_one_spelling_and_one_place() {
        for (text, spelling) in [
            ("::FFFF:10.0.0.1", "10.0.0.1"),
            ("::ffff:a00:1", "10.0.0.1"),
            ("2001:0DB8:0:0::1", "2001:db8::1"),
            ("0:0:0:0:0:0:0:1", "::1"),
        ] {
            let address = Address::parse(text);
            assert_eq!(address.map(|address| address.to_string()).as_deref(), Some(spelling));
            assert_eq!(address, Address::parse(spelling));
        }
        let ordered = ["::1", "10.0.0.9", "10.0.0.10", "2001:db8::1"].map(Address::parse);
        assert!(ordered.is_sorted());
    }
}
