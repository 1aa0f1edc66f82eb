//! One name a noun: in the API's path, the command, the page, the table and the module. The generated
//! reference says which commands there are.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::{Findings, files};

/// What stands where a noun stands and is none.
const NO_NOUNS: &[&str] = &["health"];

pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    let commands = std::fs::read_to_string(root.join("docs/reference/cli.md"))?;
    let sources = Sources::read(root)?;
    for system in std::fs::read_dir(root.join("crates/systems"))?.flatten() {
        let name = system.file_name().to_string_lossy().into_owned();
        for problem in system_problems(&name, &commands, &sources) {
            findings.push(format!("crates/systems/{name}: {problem}"));
        }
    }
    Ok(())
}

/// The paths and the text of the systems' files.
struct Sources(Vec<(String, String)>);

impl Sources {
    fn read(root: &Path) -> Result<Self> {
        let mut found = Vec::new();
        for path in files(root)? {
            let name = path.display().to_string();
            if name.starts_with("crates/systems/")
                && (name.ends_with(".rs") || name.ends_with(".sql"))
            {
                found.push((name, std::fs::read_to_string(root.join(&path))?));
            }
        }
        Ok(Self(found))
    }

    fn of<'a>(&'a self, below: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(below))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn system_problems(name: &str, commands: &str, sources: &Sources) -> Vec<String> {
    let mut problems = Vec::new();
    let start = format!("path = \"/api/{name}/");
    let source = format!("crates/systems/{name}/src/");
    let nouns: BTreeSet<String> = sources
        .of(&source)
        .flat_map(|(_, text)| text.split(start.as_str()).skip(1))
        .filter_map(|rest| rest.split(['/', '"']).next())
        .filter(|noun| !NO_NOUNS.contains(noun) && !noun.starts_with('{'))
        .map(singular)
        .collect();

    // Commands: `sealwright <system> <noun> <verb>`.
    let start = format!("## `sealwright {name} ");
    for line in commands
        .lines()
        .filter_map(|line| line.strip_prefix(&start))
    {
        let words: Vec<&str> = line.trim_end_matches('`').split(' ').collect();
        if let [noun, _verb] = words.as_slice()
            && !nouns.contains(*noun)
        {
            problems.push(format!(
                "the command noun `{noun}` is no noun of /api/{name}/ ({})",
                list(&nouns)
            ));
        }
    }

    // Pages: `/console/<system>/<nouns>`; tenants are everybody's.
    let pages = format!("crates/systems/{name}/src/pages");
    for (path, text) in sources.of(&pages) {
        for (number, line) in text.lines().enumerate() {
            let start = format!(".route(\"/console/{name}/");
            let quoted = format!("\"/console/{name}/");
            let Some(rest) = line
                .split_once(start.as_str())
                .or_else(|| {
                    // The address alone on its line, as the formatter breaks long calls.
                    line.trim_start()
                        .starts_with(quoted.as_str())
                        .then(|| line.split_once(quoted.as_str()))
                        .flatten()
                })
                .map(|(_, rest)| rest)
            else {
                continue;
            };
            let noun = rest.split(['/', '"', '?']).next().unwrap_or_default();
            let noun_is_ours = nouns.contains(&singular(noun)) || noun == "tenants";
            if !noun.is_empty() && !noun.starts_with('{') && !noun_is_ours {
                problems.push(format!(
                    "{path}:{}: the page noun `{noun}` is no noun of /api/{name}/ ({})",
                    number + 1,
                    list(&nouns)
                ));
            }
        }
    }

    // Tables: the system's name, and below it the noun's.
    let system = name.replace('-', "_");
    let migrations = format!("crates/systems/{name}/migrations/");
    let mut tables = BTreeSet::new();
    for (path, text) in sources.of(&migrations) {
        for rest in text.lines().filter_map(|l| l.strip_prefix("CREATE TABLE ")) {
            let rest = rest.trim_start_matches("IF NOT EXISTS ");
            let table = rest.split([' ', '(']).next().unwrap_or_default();
            if !table.starts_with(&format!("{system}_")) {
                problems.push(format!(
                    "{path}: the table `{table}` does not begin with `{system}_`"
                ));
            }
            tables.insert(table.to_owned());
        }
    }

    // Modules: a noun of the API has a room, or a file in a room, of its name; one with rows has a table.
    for noun in &nouns {
        let module = noun.replace('-', "_");
        let named = |path: &str| {
            path.strip_prefix(&source).is_some_and(|path| {
                path.split('/')
                    .any(|part| part.trim_end_matches(".rs") == module)
            })
        };
        let rows = tables.contains(&format!("{system}_{module}"));
        if !rows && !sources.of(&source).any(|(path, _)| named(path)) {
            problems.push(format!(
                "the noun `{noun}` of /api/{name}/ has neither a table `{system}_{module}` nor a module \
                 `{module}`"
            ));
        }
    }
    problems
}

fn list(nouns: &BTreeSet<String>) -> String {
    nouns.iter().cloned().collect::<Vec<_>>().join(", ")
}

fn singular(noun: &str) -> String {
    if let Some(stem) = noun.strip_suffix("ies") {
        return format!("{stem}y");
    }
    match noun.strip_suffix('s') {
        Some(stem) if !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => noun.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(commands: &str, files: &[(&str, &str)]) -> Vec<String> {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        system_problems("shop", commands, &Sources(files))
    }

    #[test]
    fn one_name_everywhere_is_fine() {
        let files = [
            (
                "crates/systems/shop/src/api/gift_card.rs",
                "(get, path = \"/api/shop/gift-cards/{id}\") (get, path = \"/api/shop/health\")",
            ),
            (
                "crates/systems/shop/src/pages/mod.rs",
                "    .route(\"/console/shop/gift-cards\", get(list))",
            ),
            (
                "crates/systems/shop/migrations/sqlite/0001_init.sql",
                "CREATE TABLE shop_gift_card (\n",
            ),
        ];
        let commands = "## `sealwright shop gift-card list`\n## `sealwright shop check`\n";
        assert_eq!(problems(commands, &files), Vec::<String>::new());
    }

    #[test]
    fn each_other_name_is_found() {
        let files = [
            (
                "crates/systems/shop/src/api/cards.rs",
                "path = \"/api/shop/gift-cards\"",
            ),
            (
                "crates/systems/shop/src/pages/mod.rs",
                "    .route(\n        \"/console/shop/vouchers\",\n",
            ),
            (
                "crates/systems/shop/migrations/sqlite/0001_init.sql",
                "CREATE TABLE gift (\n",
            ),
        ];
        let commands = "## `sealwright shop coupon list`\n";
        let found = problems(commands, &files);
        for word in ["`coupon`", "mod.rs:2", "`gift`", "neither a table"] {
            assert!(found.iter().any(|p| p.contains(word)), "{word}: {found:?}");
        }
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn singulars() {
        for (many, one) in [
            ("invoices", "invoice"),
            ("policies", "policy"),
            ("usage", "usage"),
            ("status", "status"),
            ("analysis", "analysis"),
            ("access", "access"),
        ] {
            assert_eq!(singular(many), one);
        }
    }
}
