//! `sealwright verify FILE`: checks what was handed out, with no network and no database.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sealwright_billing::verify::{Bundle, verify_invoice};
use sealwright_ledger::EntryProof;
use sealwright_merkle::VerifierKey;
use serde_json::{Value, json};

/// Check an invoice, a certificate of erasure or a ledger proof offline
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// invoice.json, a bundle (.zip or the folder), a certificate or a ledger proof (.json)
    file: PathBuf,
    /// The bundle, where it is not beside the invoice
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// The issuer's verifier key (`<name>+<id>+<base64>`), from a source that you trust
    #[arg(long)]
    key: Option<String>,
}

/// Runs the check; whether everything holds.
pub(crate) fn run(args: &VerifyArgs, as_json: bool, out: &mut dyn Write) -> Result<bool> {
    let key: Option<VerifierKey> = args
        .key
        .as_deref()
        .map(|text| text.parse().with_context(|| format!("--key {text}")))
        .transpose()?;
    let file = &args.file;
    let is_bundle = file.is_dir() || file.extension().is_some_and(|extension| extension == "zip");
    if is_bundle {
        let bundle = Bundle::read(file).with_context(|| file.display().to_string())?;
        let report = verify_invoice(&bundle.invoice, &bundle, key.as_ref());
        return show(&report, as_json, out);
    }
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let value: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is neither a bundle nor JSON", file.display()))?;
    if sealwright_dlp::verify::is_certificate(&value) {
        return certificate(&bytes, key.as_ref(), as_json, out);
    }
    if value.get("tlog_proof").is_some() {
        return proof(&bytes, key, as_json, out);
    }
    let place = match &args.bundle {
        Some(path) => path.clone(),
        None => beside(file)?,
    };
    let bundle = Bundle::read(&place).with_context(|| place.display().to_string())?;
    show(&verify_invoice(&bytes, &bundle, key.as_ref()), as_json, out)
}

/// The bundle of an invoice file: the folder that it is in, or `<name>.bundle.zip` beside it.
fn beside(file: &Path) -> Result<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let zip = folder.join(format!("{stem}.bundle.zip"));
    if zip.is_file() {
        return Ok(zip);
    }
    if folder.join("events.ndjson").is_file() {
        return Ok(folder);
    }
    bail!(
        "there is no bundle beside {}\nhint: name it with --bundle; the issuer hands it out (console: \
         the invoice's page; command: sealwright billing invoice export)",
        file.display()
    )
}

fn show(
    report: &sealwright_billing::verify::Report,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<bool> {
    if as_json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(report.verified);
    }
    writeln!(out, "{} {}", report.invoice, report.total)?;
    for check in &report.checks {
        writeln!(out, "  holds  {check}")?;
    }
    for finding in &report.findings {
        let place = if finding.place.is_empty() {
            String::new()
        } else {
            format!(" {}", finding.place)
        };
        writeln!(out, "  FAILS  {}{place}: {}", finding.file, finding.detail)?;
    }
    writeln!(out, "  key    {}", report.key)?;
    writeln!(
        out,
        "{}",
        if report.verified {
            "verified"
        } else {
            "NOT verified"
        }
    )?;
    Ok(report.verified)
}

fn certificate(
    bytes: &[u8],
    key: Option<&VerifierKey>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<bool> {
    let report = sealwright_dlp::verify::certificate(bytes, key).map_err(anyhow::Error::msg)?;
    if as_json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
        return Ok(report.verified);
    }
    writeln!(
        out,
        "{} erased {} versions, recorded {}",
        report.erasure, report.versions, report.recorded_at
    )?;
    for check in &report.checks {
        writeln!(out, "  holds  {check}")?;
    }
    for finding in &report.findings {
        writeln!(out, "  FAILS  {finding}")?;
    }
    let from = if report.key_given {
        "given"
    } else {
        "from the proof itself: compare it with the issuer's"
    };
    writeln!(out, "  key    {} ({from})", report.key)?;
    let word = if report.verified {
        "verified"
    } else {
        "NOT verified"
    };
    writeln!(out, "{word}")?;
    Ok(report.verified)
}

fn proof(
    bytes: &[u8],
    key: Option<VerifierKey>,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<bool> {
    let proof: EntryProof = serde_json::from_slice(bytes).context("this is no ledger proof")?;
    let given = key.is_some();
    let key = match key {
        Some(key) => key,
        None => proof
            .verifier_key
            .parse()
            .context("the key inside of the proof")?,
    };
    match proof.verify(&key) {
        Ok(leaf) => {
            if as_json {
                let answer = json!({ "verified": true, "entry": leaf, "index": proof.index,
                    "tree_size": proof.tree_size, "key": key.to_string(), "key_given": given });
                writeln!(out, "{answer}")?;
            } else {
                writeln!(out, "{} {} at {}", leaf.action, leaf.subject, leaf.time)?;
                writeln!(
                    out,
                    "  holds  entry {} of {} in {}",
                    proof.index, proof.tree_size, proof.origin
                )?;
                let from = if given {
                    "given"
                } else {
                    "from the proof itself: compare it with the issuer's"
                };
                writeln!(out, "  key    {key} ({from})\nverified")?;
            }
            Ok(true)
        }
        Err(error) => {
            if as_json {
                writeln!(
                    out,
                    "{}",
                    json!({ "verified": false, "error": error.to_string() })
                )?;
            } else {
                writeln!(out, "  FAILS  {error}\nNOT verified")?;
            }
            Ok(false)
        }
    }
}
