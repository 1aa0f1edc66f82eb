//! Kinds of networks, as data: `data/addresses.tsv`.
//!
//! A place that is looked up for an address says where its network is registered. For some networks
//! that is not where the person is: private and carrier-grade NAT ranges have no place, relays and
//! hosting stand where their owner put them, satellite networks come down far from their users. Rules
//! about places take only [`Class::Public`].

use std::net::IpAddr;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// What kind of network an address is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reachable from everywhere, and nothing more is known.
    Public,
    /// For use within an organisation (RFC 1918, RFC 4193).
    Private,
    /// Shared by customers of a carrier (RFC 6598).
    Cgnat,
    /// This host.
    Loopback,
    /// This link.
    LinkLocal,
    /// For use in documents (RFC 5737, RFC 3849).
    Documentation,
    /// One to many.
    Multicast,
    /// Not assigned, or for special use.
    Reserved,
    /// Privacy relays and VPN providers.
    Relay,
    /// Data centres.
    Hosting,
    /// Internet by satellite.
    Satellite,
}

const NAMES: [(&str, Class); 11] = [
    ("public", Class::Public),
    ("private", Class::Private),
    ("cgnat", Class::Cgnat),
    ("loopback", Class::Loopback),
    ("link-local", Class::LinkLocal),
    ("documentation", Class::Documentation),
    ("multicast", Class::Multicast),
    ("reserved", Class::Reserved),
    ("relay", Class::Relay),
    ("hosting", Class::Hosting),
    ("satellite", Class::Satellite),
];

impl Class {
    /// The name that stands in `sealwright.source.class`.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, c)| *c == self)
            .map_or("public", |(n, _)| n)
    }

    /// The class of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, c)| *c)
    }

    /// Whether a looked-up place says where the person is.
    pub fn has_place(self) -> bool {
        self == Self::Public
    }
}

struct Table {
    /// First and last address, most specific first.
    v4: Vec<(u32, u32, Class)>,
    v6: Vec<(u128, u128, Class)>,
    systems: FxHashMap<u32, Class>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        v4: Vec::new(),
        v6: Vec::new(),
        systems: FxHashMap::default(),
    };
    for line in include_str!("../data/addresses.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let mut parts = line.split('\t');
        let (Some(what), Some(class)) = (parts.next(), parts.next().and_then(Class::from_name))
        else {
            continue;
        };
        if let Some(number) = what.strip_prefix("AS") {
            if let Ok(n) = number.parse() {
                table.systems.insert(n, class);
            }
            continue;
        }
        let Some((address, prefix)) = what.split_once('/') else {
            continue;
        };
        match (address.parse::<IpAddr>(), prefix.parse::<u32>()) {
            (Ok(IpAddr::V4(a)), Ok(p)) => {
                let first = u32::from(a);
                let size = u32::MAX.checked_shr(p).unwrap_or(0);
                table.v4.push((first, first | size, class));
            }
            (Ok(IpAddr::V6(a)), Ok(p)) => {
                let first = u128::from(a);
                let size = u128::MAX.checked_shr(p).unwrap_or(0);
                table.v6.push((first, first | size, class));
            }
            _ => {}
        }
    }
    table.v4.sort_by_key(|(a, b, _)| b - a);
    table.v6.sort_by_key(|(a, b, _)| b - a);
    table
});

/// The class of an address, by its range and, where it is known, its autonomous system.
pub fn classify(address: IpAddr, asn: Option<u32>) -> Class {
    let table = &*TABLE;
    let range = match address.to_canonical() {
        IpAddr::V4(a) => {
            let a = u32::from(a);
            table
                .v4
                .iter()
                .find(|(f, l, _)| (*f..=*l).contains(&a))
                .map(|(_, _, c)| *c)
        }
        IpAddr::V6(a) => {
            let a = u128::from(a);
            table
                .v6
                .iter()
                .find(|(f, l, _)| (*f..=*l).contains(&a))
                .map(|(_, _, c)| *c)
        }
    };
    range
        .or_else(|| asn.and_then(|n| table.systems.get(&n).copied()))
        .unwrap_or(Class::Public)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_systems() {
        for (address, asn, class) in [
            ("10.1.2.3", None, Class::Private),
            ("172.31.255.255", None, Class::Private),
            ("172.32.0.0", None, Class::Public),
            ("192.168.0.1", Some(16509), Class::Private),
            ("100.64.0.1", None, Class::Cgnat),
            ("100.127.255.255", None, Class::Cgnat),
            ("100.128.0.0", None, Class::Public),
            ("127.0.0.1", None, Class::Loopback),
            ("169.254.169.254", None, Class::LinkLocal),
            ("203.0.113.9", None, Class::Documentation),
            ("224.0.0.1", None, Class::Multicast),
            ("255.255.255.255", None, Class::Reserved),
            ("8.8.8.8", None, Class::Public),
            ("8.8.8.8", Some(14593), Class::Satellite),
            ("8.8.8.8", Some(16509), Class::Hosting),
            ("8.8.8.8", Some(36183), Class::Relay),
            ("::1", None, Class::Loopback),
            ("fd00::1", None, Class::Private),
            ("fe80::1", None, Class::LinkLocal),
            ("2001:db8::1", None, Class::Documentation),
            ("2606:4700::1", None, Class::Public),
            ("::ffff:10.0.0.1", None, Class::Private),
        ] {
            assert_eq!(classify(address.parse().unwrap(), asn), class, "{address}");
        }
        for (name, class) in NAMES {
            assert_eq!(Class::from_name(class.name()), Some(class), "{name}");
        }
    }
}
