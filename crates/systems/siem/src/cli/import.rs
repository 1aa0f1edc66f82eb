//! `siem import`: files of events into the log.

use std::io::{BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sealwright_cloudevents::Event;
use sealwright_core::TenantId;
use sealwright_events::{Appended, EventSink, SinkError};
use serde_json::json;

use super::{CliError, Output, Result, files};
use crate::api::Siem;
use crate::service::import::{Given, Maker};

/// `siem import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Event files (NDJSON, lists, records of clouds, syslog lines, EVTX; .zst and .gz too), or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Whose events they are, by slug or id
    #[arg(long)]
    pub tenant: String,
    /// The source of the events; made of the file's name when absent
    #[arg(long, value_name = "URI")]
    pub source: Option<String>,
    /// The type of the events, such as windows.event; found from what they hold when absent
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
}

/// Events that are appended together.
const BATCH: usize = 1_000;
/// Refusals that are shown.
const MOST_SHOWN: u64 = 50;

struct Import<'i> {
    sink: &'i dyn EventSink,
    tenant: TenantId,
    batch: Vec<(u64, Event)>,
    done: Appended,
    refused: u64,
}

impl Import<'_> {
    fn refuse(&mut self, file: &str, line: u64, why: &str, output: &mut Output<'_>) -> Result<()> {
        self.refused += 1;
        if self.refused <= MOST_SHOWN {
            output.say(&format!("error: {file}:{line}: {why}"))?;
        }
        Ok(())
    }

    async fn flush(&mut self, file: &str, output: &mut Output<'_>) -> Result<()> {
        while !self.batch.is_empty() {
            let events: Vec<Event> = self.batch.iter().map(|(_, e)| e.clone()).collect();
            match self.sink.append(self.tenant, &events).await {
                Ok(appended) => {
                    self.done.accepted += appended.accepted;
                    self.done.duplicates += appended.duplicates;
                    self.batch.clear();
                }
                // The rest of the batch is good.
                Err(SinkError::Refused(bad)) if !bad.is_empty() => {
                    for (index, why) in bad.iter().rev() {
                        if *index < self.batch.len() {
                            let (line, _) = self.batch.remove(*index);
                            self.refuse(file, line, why, output)?;
                        }
                    }
                }
                Err(error) => return Err(CliError::Usage(error.to_string())),
            }
        }
        Ok(())
    }
}

pub(super) async fn run(siem: &Siem, args: &ImportArgs, output: &mut Output<'_>) -> Result<bool> {
    let Some(sink) = &siem.sink else {
        return Err(CliError::Usage(
            "this installation takes no files".to_owned(),
        ));
    };
    let tenant = super::scope(siem, Some(&args.tenant))?
        .tenant()
        .ok_or_else(|| CliError::Usage("name the tenant".to_owned()))?;
    let mut import = Import {
        sink: sink.as_ref(),
        tenant,
        batch: Vec::new(),
        done: Appended::default(),
        refused: 0,
    };
    for path in files::event_files(&args.paths)? {
        read(siem, args, &path, &mut import, output).await?;
    }
    if import.refused > MOST_SHOWN {
        output.say(&format!(
            "error: and {} more were refused",
            import.refused - MOST_SHOWN
        ))?;
    }
    output.json(&json!({
        "accepted": import.done.accepted,
        "duplicates": import.done.duplicates,
        "refused": import.refused,
    }))?;
    Ok(import.refused == 0)
}

async fn read(
    siem: &Siem,
    args: &ImportArgs,
    path: &Path,
    import: &mut Import<'_>,
    output: &mut Output<'_>,
) -> Result<()> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let given = Given {
        source: args.source.clone(),
        event_type: args.event_type.clone(),
    };
    let shown = path.display().to_string();
    let mut maker = Maker::new(given, &name, siem.clock.now());
    let mut reader = files::events(path)?;
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let limit = u64::try_from(sealwright_sigma::eval::MAX_LINE).unwrap_or(u64::MAX);
        let read = std::io::Read::take(&mut reader, limit)
            .read_until(b'\n', &mut line)
            .map_err(|error| files::failed(path, error))?;
        if read == 0 {
            break;
        }
        number += 1;
        // A list may be written over many lines.
        if number == 1 && line.trim_ascii_start().starts_with(b"[") {
            std::io::Read::take(&mut reader, limit)
                .read_to_end(&mut line)
                .map_err(|error| files::failed(path, error))?;
        }
        let events = match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => maker.events(text),
            Err(error) => Err(format!("byte {}: not UTF-8", error.valid_up_to())),
        };
        match events {
            Ok(events) => import.batch.extend(events.into_iter().map(|e| (number, e))),
            Err(why) => import.refuse(&shown, number, &why, output)?,
        }
        if import.batch.len() >= BATCH {
            import.flush(&shown, output).await?;
        }
    }
    for fault in reader.take_faults() {
        import.refused += 1;
        if import.refused <= MOST_SHOWN {
            output.say(&format!("error: {shown}: {fault}"))?;
        }
    }
    import.flush(&shown, output).await
}
