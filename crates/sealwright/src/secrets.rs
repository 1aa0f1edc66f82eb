//! The keys of this installation that seal secrets at rest.

use anyhow::Result;
use sealwright_config::Config;
use sealwright_secret::KeyRing;

/// The keys that seal secrets: of the settings, else of the file in the data folder.
pub(crate) fn key_ring(config: &Config) -> Result<KeyRing> {
    if config.secrets.keys.is_empty() {
        let path = config.data.folder.join("keys/secret.keys");
        return Ok(KeyRing::file(&path)?);
    }
    Ok(KeyRing::parse(
        config.secrets.keys.expose(),
        "secrets.keys",
    )?)
}
