//! Speed against rsigma 0.23 on the same rules, events and machine, in CPU seconds of one process
//! each (user and system time, so that other load does not count), and only where both give the
//! same matches.
//!
//! `bench_siem --rules DIR --events FILE.ndjson --peer PATH/rsigma [--rounds 3]`; `sigma_eval` must
//! be built beside it. Rules with placeholders are left out: the peer evaluates them unresolved.
//! Prints one line a case: `{"bench","case","ours","peer","peer_name","unit","ratio"}`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealwright_sigma::logsource;
use serde_json::Value;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// CPU seconds of all children that have ended.
fn children_cpu() -> Fallible<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let rest = stat.rsplit_once(')').ok_or("no /proc/self/stat")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields[13].parse::<f64>()? + fields[14].parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn cpu(mut command: Command, out: &Path) -> Fallible<f64> {
    let before = children_cpu()?;
    let status = command
        .stdout(fs::File::create(out)?)
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(children_cpu()? - before)
}

fn counts(out: &Path) -> Fallible<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for line in BufReader::new(fs::File::open(out)?).lines() {
        let v: Value = serde_json::from_str(&line?)?;
        let id = v["rule_id"].as_str().unwrap_or_default().to_owned();
        *all.entry(id).or_default() += 1;
    }
    Ok(all)
}

fn yml(dir: &Path, out: &mut Vec<PathBuf>) -> Fallible<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for e in entries {
        if e.is_dir() {
            yml(&e, out)?;
        } else if e.extension().is_some_and(|x| x == "yml") {
            out.push(e);
        }
    }
    Ok(())
}

/// Events with their log source as three fields, as a collector would write it. Only what is a
/// single value is written, since the peer reads no lists.
fn tag(from: &Path, to: &Path) -> Fallible<u64> {
    let mut out = BufWriter::new(fs::File::create(to)?);
    let mut n = 0;
    for line in BufReader::new(fs::File::open(from)?).lines() {
        let line = line?;
        let v: Value = serde_json::from_str(&line)?;
        let channel = v["Channel"].as_str().unwrap_or_default();
        let id = v["EventID"].to_string();
        let source = logsource::windows(channel, id.trim_matches('"'));
        let mut tags = serde_json::Map::new();
        for (key, values) in [
            ("product", source.product),
            ("category", source.category),
            ("service", source.service),
        ] {
            if let Some([one]) = values.as_deref() {
                tags.insert(key.to_owned(), one.as_str().into());
            }
        }
        let tags = Value::Object(tags).to_string();
        let body = line.strip_prefix('{').ok_or("an event is no object")?;
        writeln!(out, "{},{body}", tags.trim_end_matches('}'))?;
        n += 1;
    }
    out.flush()?;
    Ok(n)
}

fn main() -> Fallible<()> {
    let mut args: BTreeMap<String, String> = BTreeMap::new();
    let list: Vec<String> = std::env::args().skip(1).collect();
    for pair in list.chunks(2) {
        args.insert(
            pair[0].trim_start_matches("--").to_owned(),
            pair.get(1).cloned().unwrap_or_default(),
        );
    }
    let get = |k: &str| args.get(k).cloned().ok_or(format!("--{k} is needed"));
    let (rules, events, peer) = (get("rules")?, get("events")?, get("peer")?);
    let rounds: usize = args.get("rounds").map_or(Ok(3), |r| r.parse())?;
    let ours = std::env::current_exe()?.with_file_name("sigma_eval");
    let work = std::env::temp_dir().join(format!("bench_siem.{}", std::process::id()));
    fs::create_dir_all(&work)?;

    let mut files = Vec::new();
    yml(Path::new(&rules), &mut files)?;
    files.retain(|f| !fs::read_to_string(f).is_ok_and(|t| t.contains("|expand")));
    let tagged = work.join("tagged.ndjson");
    let n = tag(Path::new(&events), &tagged)?;
    let empty = work.join("empty.ndjson");
    fs::write(&empty, "{}\n")?;
    let raw = PathBuf::from(&events);

    for take in [100, 1000, files.len()] {
        let dir = work.join(format!("rules{take}"));
        fs::create_dir_all(&dir)?;
        // Every k-th rule, so that small sets have the mix of the whole.
        for i in 0..take {
            let f = &files[i * files.len() / take];
            fs::copy(f, dir.join(format!("{i}.yml")))?;
        }
        let run = |mine: bool, file: &Path, product: bool, out: &Path| -> Fallible<f64> {
            let mut best = f64::INFINITY;
            for _ in 0..rounds {
                best = best.min(cpu(command(&ours, &peer, &dir, file, mine, product), out)?);
            }
            Ok(best)
        };
        let (a, b) = (work.join("ours.out"), work.join("peer.out"));
        let load = (run(true, &empty, true, &a)?, run(false, &empty, true, &b)?);
        print("load", take, load.0, load.1, "cpu s");
        for (case, file, product) in [
            ("product", &raw, true),
            ("product+category+service", &tagged, false),
        ] {
            let (o, p) = (
                run(true, file, product, &a)?,
                run(false, file, product, &b)?,
            );
            let (x, y) = (counts(&a)?, counts(&b)?);
            if x != y {
                return Err(format!("{case}: the matches differ, nothing to compare").into());
            }
            #[allow(clippy::cast_precision_loss)]
            let per = 1e6 / n as f64;
            print(
                case,
                take,
                (o - load.0) * per,
                (p - load.1) * per,
                "cpu µs/event",
            );
            eprintln!(
                "{case}, {take} rules: {} matches of {} rules",
                x.values().sum::<u64>(),
                x.len()
            );
        }
    }
    fs::remove_dir_all(&work)?;
    Ok(())
}

fn command(ours: &Path, peer: &str, dir: &Path, file: &Path, mine: bool, product: bool) -> Command {
    let mut c;
    if mine {
        c = Command::new(ours);
        c.arg("--rules")
            .arg(dir)
            .arg("--events")
            .arg(file)
            .arg("--no-normalise");
        if product {
            c.args(["--logsource", "product=windows"]);
        } else {
            c.args(["--source-fields", "product,category,service"]);
        }
    } else {
        c = Command::new(peer);
        c.args(["engine", "eval", "--no-stats", "-q", "--logsource-routing"]);
        c.arg("-r")
            .arg(dir)
            .arg("-e")
            .arg(format!("@{}", file.display()));
        if product {
            c.args(["--event-logsource", "product=windows"]);
        }
    }
    c
}

fn print(case: &str, rules: usize, ours: f64, peer: f64, unit: &str) {
    println!(
        "{{\"bench\":\"siem\",\"case\":\"{case}, {rules} rules\",\"ours\":{ours:.3},\"peer\":{peer:.3},\
         \"peer_name\":\"rsigma 0.23\",\"unit\":\"{unit}\",\"ratio\":{:.2}}}",
        peer / ours
    );
}
