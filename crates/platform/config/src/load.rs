//! Reading and merging.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use config::ConfigBuilder;
use config::builder::DefaultState;
use toml::de::{DeTable, DeValue};

use crate::check;
use crate::error::ConfigError;
use crate::model::{Config, Field, fields};

/// What every variable of the environment starts with: `SEALWRIGHT__LISTEN__ADDRESS`.
pub const ENV_PREFIX: &str = "SEALWRIGHT__";
/// The file that is read when no other is named.
pub const FILE_NAME: &str = "sealwright.toml";
const LARGEST_FILE: u64 = 1024 * 1024;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Env(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is read: the environment and the flags are given by the caller, who alone knows the process.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The file. One that is named must be there; `None` looks for [`FILE_NAME`] in the current folder.
    pub file: Option<PathBuf>,
    /// The environment's variables; those without [`ENV_PREFIX`] are passed over.
    pub env: Vec<(String, String)>,
    /// Flags: the flag as typed, the key that it sets, the value.
    pub flags: Vec<(String, String, String)>,
}

/// The configuration, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Key → source, for every key.
    pub sources: BTreeMap<&'static str, Source>,
    /// Key → the value as text, with secrets left out.
    pub(crate) shown: BTreeMap<&'static str, String>,
}

struct Setting {
    field: &'static Field,
    text: String,
    source: Source,
}

impl Loaded {
    /// Reads and merges everything.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn read(inputs: &Inputs) -> Result<Self, ConfigError> {
        let file = match &inputs.file {
            Some(path) => Some((path.clone(), read_file(path)?)),
            None => {
                let path = PathBuf::from(FILE_NAME);
                match read_file(&path) {
                    Ok(text) => Some((path, text)),
                    Err(ConfigError::Read { source, .. })
                        if source.kind() == io::ErrorKind::NotFound =>
                    {
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let mut settings: Vec<Setting> = Vec::new();
        if let Some((path, text)) = &file {
            settings.extend(from_file(path, text)?);
        }
        settings.extend(from_env(&inputs.env)?);
        for (flag, key, value) in &inputs.flags {
            settings.push(Setting {
                field: known(key, flag)?,
                text: value.clone(),
                source: Source::Flag(flag.clone()),
            });
        }
        merge(settings)
    }

    /// Reads from text instead of a file: for tests and for checking a file before it is put in place.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        merge(from_file(path, text)?)
    }

    /// The defaults.
    ///
    /// # Errors
    /// None in a released program: a test reads them.
    pub fn defaults() -> Result<Self, ConfigError> {
        merge(Vec::new())
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST_FILE {
        return Err(ConfigError::Syntax {
            place: path.display().to_string(),
            detail: format!("has {size} bytes; a configuration has at most {LARGEST_FILE}"),
        });
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn place(path: &Path, text: &str, offset: usize) -> Source {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Source::File {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
    }
}

fn from_file(path: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(path, text, error.span().map_or(0, |span| span.start)).to_string(),
        detail: error.message().to_owned(),
    })?;
    let mut settings = Vec::new();
    for (section, value) in document.get_ref() {
        let at = place(path, text, section.span().start);
        let name: &str = section.get_ref();
        let DeValue::Table(table) = value.get_ref() else {
            known(name, &at.to_string())?;
            continue;
        };
        for (key, value) in table {
            let source = place(path, text, key.span().start);
            let full = format!("{name}.{}", key.get_ref());
            let field = known(&full, &source.to_string())?;
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(truth) => truth.to_string(),
                DeValue::Datetime(time) => time.to_string(),
                DeValue::Array(_) | DeValue::Table(_) => {
                    return Err(ConfigError::Value {
                        place: source.to_string(),
                        key: full,
                        detail: format!("takes one value ({}), not a list or table", field.kind),
                    });
                }
            };
            settings.push(Setting {
                field,
                text,
                source,
            });
        }
        if table.is_empty()
            && !fields()
                .iter()
                .any(|f| f.key.split('.').next() == Some(name))
        {
            known(name, &at.to_string())?;
        }
    }
    Ok(settings)
}

fn from_env(env: &[(String, String)]) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = Vec::new();
    for (name, value) in env {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".");
        settings.push(Setting {
            field: known(&key, &format!("${name}"))?,
            text: value.clone(),
            source: Source::Env(name.clone()),
        });
    }
    Ok(settings)
}

fn known(key: &str, place: &str) -> Result<&'static Field, ConfigError> {
    if let Some(field) = fields().iter().find(|field| field.key == key) {
        return Ok(field);
    }
    let nearest = fields()
        .iter()
        .map(|field| {
            let last = field.key.rsplit('.').next().unwrap_or(field.key);
            let near = strsim::jaro_winkler(key, field.key)
                .max(strsim::jaro_winkler(key.rsplit('.').next().unwrap_or(key), last) * 0.95);
            (near, field.key)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    Err(ConfigError::UnknownKey {
        place: place.to_owned(),
        key: key.chars().take(100).collect(),
        hint: nearest
            .filter(|(near, _)| *near > 0.8)
            .map(|(_, key)| key.to_owned()),
    })
}

/// The later setting of a key wins. Each value is read by its key's type first, so that an error has
/// its place; the `config` crate then makes the typed tree.
fn merge(settings: Vec<Setting>) -> Result<Loaded, ConfigError> {
    let mut winners: BTreeMap<&'static str, Setting> = fields()
        .iter()
        .map(|field| {
            let setting = Setting {
                field,
                text: field.default.to_owned(),
                source: Source::Default,
            };
            (field.key, setting)
        })
        .collect();
    for setting in settings {
        winners.insert(setting.field.key, setting);
    }
    let mut builder = ConfigBuilder::<DefaultState>::default();
    for setting in winners.values() {
        (setting.field.read)(&setting.text).map_err(|detail| wrong(setting, detail))?;
        builder = builder
            .set_override(setting.field.key, setting.text.as_str())
            .map_err(|error| wrong(setting, error.to_string()))?;
    }
    let config: Config = builder
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| ConfigError::Syntax {
            place: "configuration".to_owned(),
            detail: error.to_string(),
        })?;
    if let Err((key, detail)) = check::check(&config)
        && let Some(setting) = winners.get(key)
    {
        return Err(wrong(setting, detail));
    }
    let shown = winners
        .iter()
        .map(|(key, setting)| {
            let hidden = setting.field.secret && !setting.text.is_empty();
            let text = if hidden { "********" } else { &setting.text };
            (*key, text.to_owned())
        })
        .collect();
    let sources = winners
        .into_iter()
        .map(|(key, setting)| (key, setting.source))
        .collect();
    Ok(Loaded {
        config,
        sources,
        shown,
    })
}

fn wrong(setting: &Setting, detail: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        place: setting.source.to_string(),
        key: setting.field.key.to_owned(),
        detail: detail.into(),
    }
}
