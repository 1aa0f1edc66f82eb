//! `sealwright backup` and `sealwright restore`: a copy of one moment of an installation, and an installation
//! from it.
//!
//! The order in which the parts are copied is what makes them one moment: docs/decisions/0011-backup.md.

mod check;
mod files;
mod make;
mod manifest;
mod restore;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sealwright_config::Loaded;
use serde_json::json;

pub(crate) use files::{create, create_folder};
pub(crate) use make::{LOG, Text};

use manifest::Manifest;

/// Copy this installation, also while it runs, into a folder or a file
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupArgs {
    /// A folder that is not there yet, or a file that ends in `.tar`
    #[arg(required = true, value_name = "FOLDER|FILE.tar")]
    to: Option<PathBuf>,
    /// Also copy the keys that open the secrets in the database: whoever has the backup then has the secrets
    #[arg(long)]
    with_secret_keys: bool,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum BackupCommand {
    /// Check a backup without restoring it: every file, every table, and the ledger against its rows
    Verify {
        /// The backup
        #[arg(value_name = "FOLDER|FILE.tar")]
        from: PathBuf,
        /// The ledger's verifier key, from a source that you trust
        #[arg(long)]
        key: Option<String>,
    },
}

/// Make an installation from a backup, in a data folder that is not there yet
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FOLDER|FILE.tar")]
    from: PathBuf,
    /// The file of the keys that open the secrets in the database, where the backup does not have it
    #[arg(long, value_name = "FILE")]
    secret_keys: Option<PathBuf>,
}

/// Makes or checks a backup; whether it is sound.
pub(crate) async fn run(
    args: &BackupArgs,
    loaded: &Loaded,
    as_json: bool,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    let (manifest, of) = match (&args.command, &args.to) {
        (Some(BackupCommand::Verify { from, key }), _) => {
            let manifest = match check::check(from, key.as_deref()).await {
                Ok(manifest) => manifest,
                // A damaged backup is an answer: no.
                Err(error) => {
                    return said_no(&error, from, as_json, out);
                }
            };
            (manifest, from)
        }
        (None, Some(to)) => (make::make(loaded, to, args.with_secret_keys).await?, to),
        (None, None) => anyhow::bail!("name a folder or a file"),
    };
    if as_json {
        let answer = json!({ "backup": of, "sound": true, "manifest": manifest });
        writeln!(out, "{answer}")?;
        return Ok(true);
    }
    writeln!(out, "{}", of.display())?;
    out.write_all(told(&manifest).as_bytes())?;
    if !manifest.secrets.keys.is_empty() && !manifest.secrets.in_backup {
        writeln!(
            err,
            "note: keys/secret.keys is not in the backup; keep it apart: without it the backup cannot be \
             restored"
        )?;
    }
    Ok(true)
}

fn said_no(error: &anyhow::Error, from: &Path, as_json: bool, out: &mut dyn Write) -> Result<bool> {
    let text = format!("{error:#}");
    if as_json {
        writeln!(
            out,
            "{}",
            json!({ "backup": from, "sound": false, "problem": text })
        )?;
    } else {
        writeln!(out, "{}\n  FAILS  {text}\nNOT sound", from.display())?;
    }
    Ok(false)
}

/// What a backup holds, for people.
fn told(manifest: &Manifest) -> String {
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let mut lines = vec![
        format!(
            "  made    {} by sealwright {}",
            manifest.ended_at, manifest.program
        ),
        format!(
            "  state   {} tables, {rows} rows, from {}",
            manifest.tables.len(),
            manifest.database.name()
        ),
        format!(
            "  events  offsets {} to {}: everything that was accepted before {}",
            manifest.log.first, manifest.log.next, manifest.began_at
        ),
    ];
    if let Some(lake) = &manifest.lake {
        lines.push(format!(
            "  lake    {} rows in {} files, up to offset {}",
            lake.rows, lake.files, lake.next_offset
        ));
    }
    lines.push(format!(
        "  ledger  {}, {} entries, root {}",
        manifest.ledger.origin, manifest.ledger.tree_size, manifest.ledger.root
    ));
    let keys = if manifest.secrets.in_backup {
        "the ledger's and those of the secrets are in it: guard it like them"
    } else {
        "the ledger's is in it: guard it like that one"
    };
    lines.push(format!("  keys    {keys}"));
    lines.push(format!(
        "  files   {}, {} bytes",
        manifest.files, manifest.bytes
    ));
    lines.join("\n") + "\n"
}

/// Restores, and says what and up to where.
pub(crate) async fn restore(
    args: &RestoreArgs,
    loaded: &Loaded,
    as_json: bool,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<bool> {
    let done = restore::restore(&loaded.config, &args.from, args.secret_keys.as_deref()).await?;
    if as_json {
        writeln!(out, "{}", serde_json::to_string(&done)?)?;
    } else {
        writeln!(out, "{} in {}", done.database, done.folder.display())?;
        out.write_all(told(&done.manifest).as_bytes())?;
        writeln!(
            out,
            "verified: {} entries of the ledger and their rows",
            done.ledger.entries
        )?;
    }
    let ledger = &done.ledger;
    writeln!(
        err,
        "note: the ledger goes on behind entry {kept}. Checkpoints of up to {kept} entries stay true. One of \
         more entries, which the installation published after this backup, belongs to another history: who \
         kept one (witnesses, customers, auditors) will find that it does not fit. Tell them; entry \
         {entry} of the ledger records this restore.",
        kept = ledger.kept,
        entry = ledger.restored_at,
    )?;
    Ok(true)
}
