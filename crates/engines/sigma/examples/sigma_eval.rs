//! Rules against event files:
//! `sigma_eval --rules PATH… --events PATH… [--logsource k=v,…] [--pipeline FILE…] [--no-normalise]
//! [--source-fields PRODUCT,CATEGORY,SERVICE] [--output json]`.
//!
//! One line a match on stdout, `{"rule_id","event_index","file"}`; correlations have
//! `"event_indexes"`. The last line of stderr has events, rules, matches and seconds.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::error::Error;
use std::fs;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_sigma::compiled::Options;
use sealwright_sigma::correlation::engine::Engine;
use sealwright_sigma::eval::{Evaluator, Line};
use sealwright_sigma::logsource::EventSource;
use sealwright_sigma::pipeline::Pipeline;

#[derive(Default)]
struct Args {
    rules: Vec<PathBuf>,
    events: Vec<PathBuf>,
    pipelines: Vec<PathBuf>,
    logsource: EventSource,
    no_normalise: bool,
    source_fields: [String; 3],
}

fn arguments() -> Result<Args, String> {
    let mut out = Args::default();
    let mut option = String::new();
    for a in std::env::args().skip(1) {
        match (option.as_str(), a.as_str()) {
            (_, "--no-normalise") => out.no_normalise = true,
            (_, o) if o.starts_with("--") => option = a,
            ("--rules", _) => out.rules.push(a.into()),
            ("--events", _) => out.events.push(a.into()),
            ("--pipeline", _) => out.pipelines.push(a.into()),
            ("--logsource", _) => out.logsource = EventSource::parse(&a)?,
            ("--source-fields", _) => {
                let mut names = a.split(',').map(str::to_owned);
                out.source_fields = [(); 3].map(|()| names.next().unwrap_or_default());
            }
            ("--output", "json") => {}
            _ => return Err(format!("`{a}` is not understood after `{option}`")),
        }
    }
    if out.rules.is_empty() || out.events.is_empty() {
        return Err("--rules PATH… and --events PATH… are needed".to_owned());
    }
    Ok(out)
}

fn files(path: &Path, endings: &[&str], out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for e in entries {
            if e.is_dir() || endings.iter().any(|end| e.to_string_lossy().ends_with(end)) {
                files(&e, endings, out)?;
            }
        }
    } else {
        out.push(path.to_owned());
    }
    Ok(())
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let file = fs::File::open(path)?;
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    })
}

fn run() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let args = arguments()?;
    let mut pipelines = Vec::new();
    let mut placeholders = Default::default();
    for p in &args.pipelines {
        let pipeline = Pipeline::parse(&p.display().to_string(), &fs::read_to_string(p)?)?;
        placeholders = pipeline.placeholders.clone();
        pipelines.push(pipeline);
    }
    let mut collection = Collection::default();
    let mut list = Vec::new();
    for p in &args.rules {
        files(p, &[".yml", ".yaml"], &mut list)?;
    }
    for f in &list {
        let text = fs::read_to_string(f)?;
        collection.add(
            &f.display().to_string(),
            &text,
            &Limits::default(),
            &placeholders,
        );
    }
    collection.finish(&pipelines);
    for e in collection.errors.iter().chain(&collection.warnings) {
        eprintln!("{e}");
    }
    let options = Options {
        unwrap_windows: !args.no_normalise,
        derive_logsource: !args.no_normalise,
        source_fields: args.source_fields,
        extra_fields: Engine::fields(&collection),
        ..Options::default()
    };
    let mut evaluator = Evaluator::with_options(collection, args.logsource, options)?;
    for u in evaluator.rule_set().unresolved() {
        let rule = &evaluator.rule_set().rules()[u.rule];
        eprintln!(
            "{}: unresolved placeholders: {}",
            rule.meta.key(),
            u.placeholders.join(", ")
        );
    }
    eprintln!("loaded in {:.3} s", started.elapsed().as_secs_f64());
    let mut inputs = Vec::new();
    for p in &args.events {
        files(
            p,
            &[".json", ".ndjson", ".jsonl", ".zst", ".gz"],
            &mut inputs,
        )?;
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut failed = None;
    let mut sink = |line: Line| {
        let written = match &line {
            Line::Refused {
                refused,
                event_index,
                file,
            } => {
                eprintln!("{file}: event {event_index}: {refused}");
                Ok(())
            }
            other => serde_json::to_writer(&mut out, other)
                .map_err(std::io::Error::other)
                .and_then(|()| out.write_all(b"\n")),
        };
        if let Err(e) = written {
            failed.get_or_insert(e);
        }
    };
    for f in &inputs {
        let reader = BufReader::with_capacity(1 << 18, open(f)?);
        evaluator.read(&f.display().to_string(), reader, &mut sink)?;
    }
    let s = evaluator.finish(&mut sink);
    if let Some(e) = failed {
        return Err(e.into());
    }
    out.flush()?;
    eprintln!(
        "{{\"events\":{},\"rules\":{},\"matches\":{},\"seconds\":{:.3}}}",
        s.events,
        s.rules,
        s.matches,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn main() {
    if let Err(e) = run() {
        eprintln!("{e}");
        std::process::exit(2);
    }
}
