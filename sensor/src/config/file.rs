//! The configuration file: what it says, with defaults for what it does not, or all that is wrong with it.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rule_engine::DataStreams;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::containers::RawContainers;
use super::problem::{Checker, Problem, in_range, parse_duration};
use super::settings::{Config, Format};
use super::unknown_keys::unknown_keys;

/// Read when no file is named, if it exists.
const DEFAULT_PATH: &str = "/etc/tidewaiter/tidewaiter.toml";

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
    #[error("{}", render_problems(.path, .problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

impl Config {
    /// Reads `named`, or without it the default file, which need not exist.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_PATH));
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                return Err(ConfigError::TooLong { path: path.to_owned() });
            }
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|problems| ConfigError::Invalid {
            path: path.to_owned(),
            problems,
        })
    }

    /// All problems of `text` that can be found at once, or the configuration it describes.
    pub(crate) fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
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
            Ok(raw) if problems.is_empty() => return raw.check(text),
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
    metrics_file: Option<PathBuf>,
    heartbeat: Option<Spanned<String>>,
    host_name: Option<String>,
    containers: RawContainers,
    kernel: RawKernel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
struct RawKernel {
    ring_buffer_bytes: Option<Spanned<i64>>,
    arguments_limit_bytes: Option<Spanned<i64>>,
    environment_variables: Option<Spanned<Vec<String>>>,
}

impl RawConfig {
    fn check(self, text: &str) -> Result<Config, Vec<Problem>> {
        let default = Config::default();
        let mut checker = Checker {
            text,
            problems: Vec::new(),
        };
        let config = Config {
            rules: self.rules.unwrap_or(default.rules),
            stock_rules: self.stock_rules.unwrap_or(default.stock_rules),
            data_streams: checker.value(self.data_streams, default.data_streams, |written| {
                DataStreams::new(written).map_err(|error| error.to_string())
            }),
            learn_for: checker.value(self.learn_for, default.learn_for, |written| parse_duration(&written)),
            format: checker.value(self.format, default.format, |written| match written.as_str() {
                "auto" => Ok(None),
                "text" => Ok(Some(Format::Text)),
                "json" => Ok(Some(Format::Json)),
                _ => Err("the format is one of `auto`, `text` and `json`".to_owned()),
            }),
            state_directory: self.state_directory.unwrap_or(default.state_directory),
            metrics_file: self.metrics_file.filter(|path| !path.as_os_str().is_empty()),
            heartbeat: checker.value(self.heartbeat, default.heartbeat, |written| {
                match parse_duration(&written)? {
                    interval if interval.is_zero() || interval >= SHORTEST_HEARTBEAT => Ok(interval),
                    _ => Err("the shortest interval is `1s`; `0s` means none".to_owned()),
                }
            }),
            host_name: self.host_name.filter(|name| !name.is_empty()),
            containers: self.containers.check(&mut checker),
            ring_buffer_bytes: checker.value(self.kernel.ring_buffer_bytes, default.ring_buffer_bytes, |written| {
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
                default.arguments_limit_bytes,
                |written| in_range(written, ARGUMENTS_LIMIT_BYTES),
            ),
            environment_variables: checker.value(
                self.kernel.environment_variables,
                default.environment_variables,
                |written| match written
                    .iter()
                    .find(|name| name.is_empty() || name.contains(['=', '\0']))
                {
                    None => Ok(written),
                    Some(name) => Err(format!("`{name}` is no name of a variable")),
                },
            ),
        };
        if checker.problems.is_empty() {
            Ok(config)
        } else {
            Err(checker.problems)
        }
    }
}

fn render_problems(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}:{problem}", path.display()))
        .collect();
    lines.join("\n")
}
