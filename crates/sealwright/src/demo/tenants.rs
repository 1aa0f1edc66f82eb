//! The 24 tenants of the worked example. The names are made up.

/// The regions, with the time zone of their business hours.
pub(crate) const REGIONS: [(&str, &str); 3] = [
    ("us-east-1", "America/New_York"),
    ("eu-west-1", "Europe/Dublin"),
    ("ap-southeast-1", "Asia/Singapore"),
];

/// The models; `gpt-large` has prices of its own in the example price books.
pub(crate) const MODELS: [&str; 4] = ["gpt-small", "gpt-medium", "gpt-large", "embedding"];

/// A tenant. Its place in [`TENANTS`] is its rank: the first one uses the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DemoTenant {
    /// The name in addresses and commands.
    pub(crate) slug: &'static str,
    /// The name for people.
    pub(crate) name: &'static str,
    /// The price book, one of examples/plans.
    pub(crate) plan: &'static str,
    /// The home region: an index into [`REGIONS`].
    pub(crate) home: usize,
}

const fn tenant(
    slug: &'static str,
    name: &'static str,
    plan: &'static str,
    home: usize,
) -> DemoTenant {
    DemoTenant {
        slug,
        name,
        plan,
        home,
    }
}

/// All tenants, by rank.
pub(crate) const TENANTS: [DemoTenant; 24] = [
    tenant("acme-corp", "Acme Corporation", "enterprise", 0),
    tenant("globex", "Globex", "enterprise", 1),
    tenant("initech", "Initech", "enterprise", 0),
    tenant("umbra-health", "Umbra Health", "enterprise", 1),
    tenant("northwind", "Northwind Traders", "enterprise", 2),
    tenant("hooli-labs", "Hooli Labs", "professional", 0),
    tenant("stark-robotics", "Stark Robotics", "professional", 0),
    tenant("contoso", "Contoso", "professional", 1),
    tenant("fabrikam", "Fabrikam", "professional", 1),
    tenant("wayne-logistics", "Wayne Logistics", "professional", 0),
    tenant("lumen-bank", "Lumen Bank", "professional", 1),
    tenant("tailspin", "Tailspin Toys", "professional", 2),
    tenant("pied-piper", "Pied Piper", "professional", 0),
    tenant("vandelay", "Vandelay Imports", "professional", 1),
    tenant("monarch-media", "Monarch Media", "starter", 2),
    tenant("blue-heron", "Blue Heron Analytics", "starter", 1),
    tenant("dunder-paper", "Dunder Paper", "starter", 0),
    tenant("sirius-games", "Sirius Games", "starter", 2),
    tenant("oakfield", "Oakfield Schools", "starter", 1),
    tenant("kestrel-air", "Kestrel Air", "starter", 0),
    tenant("juniper-law", "Juniper Law", "starter", 1),
    tenant("marlin-bikes", "Marlin Bikes", "starter", 2),
    tenant("sable-studio", "Sable Studio", "starter", 0),
    tenant("quarry-tools", "Quarry Tools", "starter", 1),
];

/// Tenants of these first ranks also run in the region after their home.
pub(crate) const IN_TWO_REGIONS: usize = 8;

/// The share of AI requests of a rank, in thousandths of the first one's: 1000 / (rank + 1)^0.8, so that
/// the first tenant has about a seventh of all requests.
pub(crate) const SHARES: [u64; 24] = [
    1000, 574, 415, 330, 276, 238, 211, 189, 172, 158, 147, 137, 128, 121, 115, 109, 104, 99, 95,
    91, 88, 84, 81, 79,
];
