//! The configuration file: what it says, with defaults for what it does not, or all that is wrong with it.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rule_engine::{DataStreams, FieldType, Schema};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::containers::RawContainers;
use super::problem::{Checker, Problem, in_range, not_empty, parse_duration};
use super::settings::{Config, DEFAULT_PATH, Format};
use super::unknown_keys::unknown_keys;
use crate::sandbox::Mode;

/// A configuration file longer than this is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);
const RING_BUFFER_BYTES: RangeInclusive<u32> = 64 * 1024..=1024 * 1024 * 1024;
const ARGUMENTS_LIMIT_BYTES: RangeInclusive<u32> = 4 * 1024..=1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration `{path}` is longer than {MAX_FILE_BYTES} bytes")]
    TooLong { path: PathBuf },
    /// All that is wrong, in the file and in the environment.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

impl Config {
    /// Reads `named`, or without it the default file, which need not exist; what the environment says counts before it.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match read(path) {
            Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound && named.is_none() => {
                String::new()
            }
            text => text?,
        };
        let (config, mut problems) = match Self::from_toml(&text) {
            Ok(config) => (config, Vec::new()),
            Err(problems) => {
                let at_place = |problem| format!("{}:{problem}", path.display());
                (Self::default(), problems.iter().map(at_place).collect())
            }
        };
        match config.with_environment(std::env::vars_os()) {
            Ok(config) if problems.is_empty() => {
                return Ok(Self {
                    file: path.to_owned(),
                    ..config
                });
            }
            Ok(_) => {}
            Err(further) => problems.extend(further),
        }
        Err(ConfigError::Invalid(problems))
    }

    /// What the environment says, as far as it is right, whatever the file says.
    pub(crate) fn of_environment() -> Self {
        Self::default()
            .with_environment(std::env::vars_os())
            .unwrap_or_default()
    }

    /// All problems of `text` that can be found at once, or the configuration it describes.
    pub(crate) fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
        Self::from_toml_over(Self::default(), text)
    }

    /// As [`Self::from_toml`], with `base` for what the text does not say.
    pub(super) fn from_toml_over(base: Self, text: &str) -> Result<Self, Vec<Problem>> {
        let syntax = |error: toml::de::Error| {
            vec![Problem::at(
                text,
                error.span().map_or(0, |span| span.start),
                error.message(),
            )]
        };
        let table = DeTable::parse(text).map_err(syntax)?;
        let mut problems = unknown_keys(text, table.get_ref());
        match toml::from_str::<RawConfig>(text) {
            Ok(raw) if problems.is_empty() => return raw.check(text, base),
            Ok(_) => {}
            // Unknown keys of tables are reported above, all of them, with what may have been meant.
            Err(error) if error.message().starts_with("unknown field") && !problems.is_empty() => {}
            Err(error) => problems.extend(syntax(error)),
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(problems)
    }
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawConfig {
    rules: Option<Vec<PathBuf>>,
    stock_rules: Option<bool>,
    data_streams: Option<Spanned<Vec<String>>>,
    learn_for: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    state_directory: Option<PathBuf>,
    runtime_directory: Option<PathBuf>,
    metrics_file: Option<PathBuf>,
    heartbeat: Option<Spanned<String>>,
    sandbox: Option<Spanned<String>>,
    host_name: Option<String>,
    host_root: Option<PathBuf>,
    containers: RawContainers,
    kernel: RawKernel,
    schema: Option<Spanned<toml::Table>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
struct RawKernel {
    ring_buffer_bytes: Option<Spanned<i64>>,
    arguments_limit_bytes: Option<Spanned<i64>>,
    environment_variables: Option<Spanned<Vec<String>>>,
}

impl RawConfig {
    fn check(self, text: &str, base: Config) -> Result<Config, Vec<Problem>> {
        let mut checker = Checker {
            text,
            problems: Vec::new(),
        };
        let config = Config {
            file: base.file,
            rules: self.rules.unwrap_or(base.rules),
            stock_rules: self.stock_rules.unwrap_or(base.stock_rules),
            data_streams: checker.value(self.data_streams, base.data_streams, |written| {
                DataStreams::new(written).map_err(|error| error.to_string())
            }),
            learn_for: checker.value(self.learn_for, base.learn_for, |written| parse_duration(&written)),
            format: checker.value(self.format, base.format, |written| match written.as_str() {
                "auto" => Ok(None),
                "text" => Ok(Some(Format::Text)),
                "json" => Ok(Some(Format::Json)),
                _ => Err("the format is one of `auto`, `text` and `json`".to_owned()),
            }),
            state_directory: self.state_directory.unwrap_or(base.state_directory),
            runtime_directory: not_empty(self.runtime_directory, base.runtime_directory),
            metrics_file: not_empty(self.metrics_file, base.metrics_file),
            heartbeat: checker.value(self.heartbeat, base.heartbeat, |written| {
                match parse_duration(&written)? {
                    interval if interval.is_zero() || interval >= SHORTEST_HEARTBEAT => Ok(interval),
                    _ => Err("the shortest interval is `1s`; `0s` means none".to_owned()),
                }
            }),
            sandbox: checker.value(self.sandbox, base.sandbox, |written| {
                let mode = Mode::ALL.into_iter().find(|mode| mode.name() == written);
                mode.ok_or_else(|| "the sandbox is one of `off`, `log` and `enforce`".to_owned())
            }),
            host_name: not_empty(self.host_name, base.host_name),
            host_root: not_empty(self.host_root, base.host_root),
            containers: self.containers.check(&mut checker, base.containers),
            ring_buffer_bytes: checker.value(self.kernel.ring_buffer_bytes, base.ring_buffer_bytes, |written| {
                match in_range(written, RING_BUFFER_BYTES)? {
                    bytes if bytes.is_power_of_two() => Ok(bytes),
                    bytes => Err(format!(
                        "the size has to be a power of two, such as {} or {}",
                        1_u32 << bytes.ilog2(),
                        2_u32 << bytes.ilog2(),
                    )),
                }
            }),
            arguments_limit_bytes: checker.value(
                self.kernel.arguments_limit_bytes,
                base.arguments_limit_bytes,
                |written| in_range(written, ARGUMENTS_LIMIT_BYTES),
            ),
            environment_variables: checker.value(
                self.kernel.environment_variables,
                base.environment_variables,
                |written| match written
                    .iter()
                    .find(|name| name.is_empty() || name.contains(['=', '\0']))
                {
                    None => Ok(written),
                    Some(name) => Err(format!("`{name}` is no name of a variable")),
                },
            ),
            own_fields: checker.value(self.schema, base.own_fields, |written| {
                let mut own_fields = BTreeMap::new();
                collect_own_fields("", written, &mut own_fields)?;
                Ok(own_fields)
            }),
        };
        if checker.problems.is_empty() {
            Ok(config)
        } else {
            Err(checker.problems)
        }
    }
}

/// The fields that a table declares, by their whole names; `above` is what they are below.
fn collect_own_fields(above: &str, table: toml::Table, fields: &mut BTreeMap<String, FieldType>) -> Result<(), String> {
    for (key, value) in table {
        let name = match above {
            "" => key,
            above => format!("{above}.{key}"),
        };
        match value {
            toml::Value::Table(below) => collect_own_fields(&name, below, fields)?,
            toml::Value::String(named) => {
                let field_type: FieldType = named.parse().map_err(|error| format!("`{name}`: {error}"))?;
                let declared = Schema::ecs().with_own_field(&name, field_type);
                declared.map_err(|error| error.to_string())?;
                fields.insert(name, field_type);
            }
            _ => return Err(format!("the type of `{name}` is a text, such as \"keyword\"")),
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(ConfigError::TooLong { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
