//! Where an address is: the caller knows, this crate asks.

use std::net::IpAddr;

use crate::address::Class;

/// What is known of an address. Unknown is `None`, never zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// ISO 3166-2.
    pub region: Option<String>,
    /// Name of the city.
    pub city: Option<String>,
    /// Latitude and longitude in degrees.
    pub position: Option<(f64, f64)>,
    /// Radius in km within which the place lies.
    pub radius_km: Option<f64>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Its organisation.
    pub organization: Option<String>,
    /// What kind of network it is, where the caller knows better than [`crate::address`].
    pub class: Option<Class>,
}

/// Looks addresses up, for example in files of the MaxMind form.
pub trait Geo {
    /// What is known of an address; `None` when nothing is.
    fn place(&self, address: IpAddr) -> Option<Place>;
}

impl<F: Fn(IpAddr) -> Option<Place>> Geo for F {
    fn place(&self, address: IpAddr) -> Option<Place> {
        self(address)
    }
}
