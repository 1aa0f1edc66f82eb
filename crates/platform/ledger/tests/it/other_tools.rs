//! PyPI `tlog-scales` 0.0.3 reads our tree, checks every entry, and makes the proofs that we make.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealwright_merkle::{TlogProof, leaf_hash};

use crate::support::{entries, key, open};

/// A folder under the target folder that outlives one test run.
fn environment() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let target = exe
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target
        .unwrap_or(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .join("tlog-scales")
}

/// The tool in a virtual environment that is made at the first call; `None` where Python or the
/// package is not to be had.
fn tool() -> Option<PathBuf> {
    let folder = environment();
    let tool = folder.join("bin/tlog-tiles");
    if !tool.is_file() {
        let quietly = |program: &Path, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .output()
                .is_ok_and(|o| o.status.success())
        };
        let made = quietly(Path::new("python3"), &["-m", "venv", folder.to_str()?])
            && quietly(
                &folder.join("bin/python"),
                &["-m", "pip", "install", "--quiet", "tlog-scales==0.0.3"],
            );
        if !made || !tool.is_file() {
            eprintln!("skipped: Python and tlog-scales 0.0.3 are not to be had");
            let _ = std::fs::remove_dir_all(&folder);
            return None;
        }
    }
    Some(tool)
}

#[test]
fn tlog_scales_accepts_our_tree_and_makes_our_proofs() {
    let Some(tool) = tool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ledger");
    let mut log = open(&root);
    for size in [1_u64, 256, 700, 66_000] {
        let from = log.size();
        for batch in (from..size).step_by(30_000) {
            log.append(&entries(batch, size.min(batch + 30_000)))
                .unwrap();
        }
        for index in [0, size / 3, size - 1] {
            let run = |command: &[&str]| {
                let index = index.to_string();
                let output = Command::new(&tool)
                    .args(command)
                    .args([root.to_str().unwrap(), &index])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    output.status.success(),
                    "size {size}, entry {index}: {said}"
                );
                output.stdout
            };
            let entry = entries(index, index + 1).remove(0);
            assert_eq!(
                run(&["get-leaf", "--check"]),
                entry,
                "size {size}, entry {index}"
            );
            let theirs: TlogProof = String::from_utf8(run(&["gen-proof"]))
                .unwrap()
                .parse()
                .unwrap();
            theirs.verify(&leaf_hash(&entry), &key(), &[]).unwrap();
            assert_eq!(theirs, log.reader().prove(index).unwrap().1);
        }
    }
    // And it refuses a tree that was changed.
    let bundle = root.join("tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let output = Command::new(&tool)
        .args(["get-leaf", "--check", root.to_str().unwrap(), "1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
}
