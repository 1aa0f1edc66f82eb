//! One typed configuration: defaults, then `sealwright.toml`, then the environment
//! (`SEALWRIGHT__SECTION__KEY`), then flags; the later one wins.
//!
//! [`Loaded`] holds the typed [`Config`] and, for each key, where its value came from. Unknown keys are
//! refused with their place and the nearest known one. Secrets show as `********`.

mod check;
mod error;
mod load;
mod model;
mod reference;
mod show;
mod value;

pub use error::ConfigError;
pub use load::{ENV_PREFIX, FILE_NAME, Inputs, Loaded, Source};
pub use model::{
    Access, Billing, Config, Data, Field, Intake, Jobs, Lake, Ledger, Listen, Store, Telemetry,
    fields,
};
pub use reference::reference_markdown;
pub use show::{show_json, show_table};
pub use value::{Length, LogFormat, Secret};
