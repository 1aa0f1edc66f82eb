//! Decimals as normalised strings in JSON.

use sealwright_money::{Decimal, exact};
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(d: &Decimal, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&exact::normalise(*d).to_string())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(d)?;
    exact::parse(&text).map_err(serde::de::Error::custom)
}

/// The same for an optional decimal.
pub(crate) mod option {
    use super::{Decimal, Deserialize, Deserializer, Serializer, exact};

    pub(crate) fn serialize<S: Serializer>(d: &Option<Decimal>, s: S) -> Result<S::Ok, S::Error> {
        match d {
            Some(d) => super::serialize(d, s),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<Decimal>, D::Error> {
        Option::<String>::deserialize(d)?
            .map(|t| exact::parse(&t).map_err(serde::de::Error::custom))
            .transpose()
    }
}
