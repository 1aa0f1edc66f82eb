//! Running other programs, with the time that they took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A folder outside of the checkout that later runs may find again: installed tools.
pub(crate) fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.map_or_else(|| target().join("cache"), |base| base.join("sealwright"))
}

/// A cargo command in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What the cargo that runs this program says of its package: some build scripts look at it, and most of the
    // workspace would be built again after each change between `cargo xtask` and plain `cargo`.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// A cargo command whose compiler is Clippy's, for what the tests build: everything is compiled once and linted on the
/// way. `cargo clippy` would check all dependencies and our crates a second time, a tenth of the whole of CI.
pub(crate) fn linting_cargo() -> Command {
    let mut command = cargo();
    if exists("clippy-driver") {
        command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
        // As `cargo clippy -- -D warnings` hands it to the driver, arguments parted by this word.
        command.env(
            "CLIPPY_ARGS",
            "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        );
    }
    command
}

/// Builds all libraries, programs, tests and examples, once and in one set of features; warnings are errors.
pub(crate) fn build() -> Result<()> {
    call(linting_cargo().args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--no-run",
        "--cargo-quiet",
    ]))
}

/// Runs to the end; an exit status other than 0 is an error that names the command.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let started = Instant::now();
    eprintln!("$ {shown}");
    let status = command
        .status()
        .with_context(|| format!("could not start `{shown}`"))?;
    if !status.success() {
        bail!(
            "`{shown}` ended with {status} after {:.1} s",
            started.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Runs to the end and returns what was printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// Whether a program of this name is on the path.
pub(crate) fn exists(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn show(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// The program as the tests have it: a build of the binary alone would turn off the features of
/// dependencies that only tests ask for, and nearly all of them would be built a second time.
pub(crate) fn program() -> Result<PathBuf> {
    build()?;
    Ok(target().join("debug/sealwright"))
}
