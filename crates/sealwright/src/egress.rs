//! The ways out to other people's servers, with what this installation decides.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sealwright_egress::{Egress, EgressOptions};

/// The way out of the part whose settings stand in `section`.
pub(crate) fn way_out(
    section: &'static str,
    private_targets: &str,
    ca_file: &Path,
    timeout: Duration,
) -> Result<Egress> {
    let private = private_targets
        .parse()
        .map_err(|detail| anyhow!("{section}.private_targets: {detail}"))?;
    let extra_roots = if ca_file.as_os_str().is_empty() {
        None
    } else {
        let named = || format!("{section}.ca_file {}", ca_file.display());
        Some(std::fs::read(ca_file).with_context(named)?)
    };
    Ok(Egress::new(EgressOptions {
        section,
        private,
        timeout,
        extra_roots,
    }))
}
