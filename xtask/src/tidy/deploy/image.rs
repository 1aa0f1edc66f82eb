//! Images: pinned, not root, of this version; no passwords in files.

use std::path::Path;

use anyhow::Result;

use super::{Findings, Text, between, uncommented};

pub(super) fn check(root: &Path, texts: &[Text], findings: &mut Findings) -> Result<()> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let stated = |key: &str| {
        between(&manifest, &format!("\n{key} = \""), '"')
            .first()
            .map_or("", |value| value)
            .to_owned()
    };
    let (version, rust) = (stated("version"), stated("rust-version"));
    for file in texts {
        let mut say = |what: String| findings.push(format!("{}: {what}", file.name));
        if file.ends("Containerfile") {
            container(&file.text, &version, &rust, &mut say);
        }
        if file.ends("compose.yaml") {
            compose(&file.text, &version, &mut say);
        }
    }
    Ok(())
}

fn container(text: &str, version: &str, rust: &str, say: &mut dyn FnMut(String)) {
    let text = uncommented(text).replace("\\\n", " ");
    let mut arguments = Vec::new();
    let (mut user, mut entry) = (None, false);
    for line in text.lines() {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let rest = rest.trim();
        match word {
            "ARG" => arguments.extend(rest.split_once('=')),
            "FROM" => {
                let name = rest.split(' ').next().unwrap_or_default();
                let inner = name.trim_start_matches("${").trim_end_matches('}');
                let image = arguments
                    .iter()
                    .find(|(argument, _)| *argument == inner)
                    .map_or(name, |(_, image)| image);
                if let Err(why) = pinned(image) {
                    say(why);
                }
                let name = image.rsplit('/').next().unwrap_or(image);
                if name.starts_with("rust:") && !name.starts_with(&format!("rust:{rust}-")) {
                    say(format!(
                        "`{image}` is not the `rust-version` of Cargo.toml, {rust}"
                    ));
                }
                user = None;
            }
            "USER" => user = Some(rest.to_owned()),
            "ADD" => say("ADD fetches and unpacks; COPY does neither".to_owned()),
            "ENTRYPOINT" => {
                entry = true;
                if !rest.starts_with('[') {
                    say(
                        "ENTRYPOINT is a list, or a shell stands between signals and the program"
                            .to_owned(),
                    );
                }
            }
            "RUN" if rest.contains("cargo build") && !rest.contains("--locked") => {
                say(
                    "`cargo build` without --locked takes other versions than Cargo.lock's"
                        .to_owned(),
                );
            }
            "RUN" if rest.contains("curl ") || rest.contains("wget ") => {
                say("a RUN fetches something that nothing pins".to_owned());
            }
            _ => {}
        }
    }
    let root = |user: &String| matches!(user.split(':').next(), Some("root" | "0" | ""));
    if user.as_ref().is_none_or(root) {
        say("the image that is shipped ends without a USER, or with root".to_owned());
    }
    if !entry {
        say("has no ENTRYPOINT".to_owned());
    }
    if !text.contains(&format!("image.version=\"{version}\"")) {
        say(format!("the label of the version is not {version}"));
    }
}

fn compose(text: &str, version: &str, say: &mut dyn FnMut(String)) {
    let text = uncommented(text);
    for line in text.lines().map(str::trim) {
        if let Some(image) = line.strip_prefix("image: ") {
            if let Err(why) = pinned(image) {
                say(why);
            }
            if image.starts_with("sealwright:") && image != format!("sealwright:{version}") {
                say(format!(
                    "`{image}` is not the version of Cargo.toml, {version}"
                ));
            }
        }
        if line == "privileged: true" {
            say("a container is privileged".to_owned());
        }
        if let Some((key, value)) = line.split_once(": ") {
            let secret = ["PASSWORD", "SECRET", "TOKEN"]
                .iter()
                .any(|word| key.contains(word));
            let given = value.starts_with("/run/secrets/") || value.contains(":?");
            if secret && !given {
                say(format!(
                    "`{key}` is neither a file in /run/secrets nor a variable that must be set"
                ));
            }
        }
        if line.starts_with("- \"") && line.contains(':') && line.ends_with('"') {
            let port = line.trim_start_matches("- \"");
            if port.starts_with(|c: char| c.is_ascii_digit()) && !port.starts_with("127.0.0.1:") {
                say(format!("`{line}` opens a port to other machines"));
            }
        }
    }
}

/// A digest, or a tag that is not `latest`, with a version in the name or the tag.
fn pinned(image: &str) -> Result<(), String> {
    if image.contains("@sha256:") {
        return Ok(());
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        None => Err(format!("`{image}` has no tag")),
        Some((_, "latest")) => Err(format!("`{image}`: what is latest changes")),
        Some(_) if last.contains(|c: char| c.is_ascii_digit()) => Ok(()),
        Some(_) => Err(format!("`{image}` names no version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "ARG B=rust:1.95-bookworm\nFROM ${B} AS build\nRUN cargo build \\\n  --locked\n\
                        FROM debian:12-slim\nLABEL image.version=\"0.1.0\"\nUSER 1:1\n\
                        ENTRYPOINT [\"/p\"]\n";

    fn said(check: impl Fn(&mut dyn FnMut(String))) -> Vec<String> {
        let mut said = Vec::new();
        check(&mut |what| said.push(what));
        said
    }

    #[test]
    fn an_image_that_cannot_be_trusted_is_found() {
        let found = |text: &str| said(|say| container(text, "0.1.0", "1.95", say));
        assert_eq!(found(GOOD), Vec::<String>::new());
        for (from, to) in [
            ("debian:12-slim", "debian:latest"),
            ("debian:12-slim", "debian"),
            ("rust:1.95-bookworm", "rust:1.94-bookworm"),
            ("USER 1:1", "USER root"),
            ("USER 1:1", "USER 0:0"),
            ("USER 1:1", "WORKDIR /"),
            ("[\"/p\"]", "/p"),
            ("--locked", "--release"),
            ("LABEL", "ADD https://example.com/x /x\nLABEL"),
            ("0.1.0", "0.2.0"),
        ] {
            assert_eq!(found(&GOOD.replace(from, to)).len(), 1, "{from} {to}");
        }
        let early = GOOD
            .replace("USER 1:1\n", "")
            .replace("RUN", "USER 1:1\nRUN");
        assert_eq!(found(&early).len(), 1, "a user of another stage");
    }

    #[test]
    fn a_compose_file_with_a_password_or_an_open_port_is_found() {
        let found = |text: &str| said(|say| compose(text, "0.1.0", say));
        let good = "image: sealwright:0.1.0\nimage: postgres:15-bookworm\n\
                    A_PASSWORD_FILE: /run/secrets/a\nA_PASSWORD: ${P:?must be set}\n- \"127.0.0.1:1:1\"\n";
        assert_eq!(found(good), Vec::<String>::new());
        for bad in [
            "image: sealwright:0.0.9",
            "image: postgres",
            "image: postgres:latest",
            "privileged: true",
            "POSTGRES_PASSWORD: postgres",
            "POSTGRES_PASSWORD: ${P:-postgres}",
            "- \"3010:3010\"",
        ] {
            assert_eq!(found(bad).len(), 1, "{bad}");
        }
    }
}
