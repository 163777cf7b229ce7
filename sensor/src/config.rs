//! The configuration: what the file says, checked, with a default for what it does not say.
//!
//! Read once at the start of a command. [`RawConfig`] is the file as written; a [`Config`] can only
//! come from [`Config::default`] or [`Config::from_toml`], so whoever holds one holds values that
//! are in range. `config/default.toml` is what users read and equals the default; a test holds that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rule_engine::streams::DataStreams;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::Format;

mod containers;

pub use containers::ContainersConfig;
use containers::RawContainers;

/// The default configuration with its comments: what `tidewaiter config` prints.
pub const DEFAULT_TOML: &str = include_str!("config/default.toml");

/// Read when no file is named, if it exists.
pub const DEFAULT_PATH: &str = "/etc/tidewaiter/tidewaiter.toml";

/// The one rules path that need not exist.
pub const DEFAULT_RULES_DIRECTORY: &str = "/etc/tidewaiter/rules";

/// A configuration file longer than this is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

const RING_BUFFER_BYTES: std::ops::RangeInclusive<u32> = 64 * 1024..=1024 * 1024 * 1024;
const ARGUMENTS_LIMIT_BYTES: std::ops::RangeInclusive<u32> = 4 * 1024..=1024 * 1024;

/// Variables that decide what a program loads or what a shell remembers, and hold no secrets.
const ENVIRONMENT_VARIABLES: [&str; 8] = [
    "GLIBC_TUNABLES",
    "HISTCONTROL",
    "HISTFILE",
    "HISTFILESIZE",
    "HISTSIZE",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub rules: Vec<PathBuf>,
    pub stock_rules: bool,
    /// What events count as being in, for the `index` of rules.
    pub data_streams: DataStreams,
    /// How long a new_terms rule only learns, from the first time it runs.
    pub learn_for: Duration,
    /// `None`: text on a terminal, JSON otherwise.
    pub format: Option<Format>,
    pub state_directory: PathBuf,
    /// `None`: no metrics are written.
    pub metrics_file: Option<PathBuf>,
    /// `None`: the system's.
    pub host_name: Option<String>,
    pub containers: ContainersConfig,
    /// A power of two and so a multiple of the page size.
    pub ring_buffer_bytes: u32,
    pub arguments_limit_bytes: u32,
    /// Names of the environment's variables that events may tell, where a rule reads them.
    pub environment_variables: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: vec![PathBuf::from(DEFAULT_RULES_DIRECTORY)],
            stock_rules: true,
            data_streams: DataStreams::default(),
            learn_for: Duration::from_secs(60 * 60),
            format: None,
            state_directory: PathBuf::from("/var/lib/tidewaiter"),
            metrics_file: None,
            host_name: None,
            containers: ContainersConfig::default(),
            ring_buffer_bytes: 8 * 1024 * 1024,
            arguments_limit_bytes: 32 * 1024,
            environment_variables: ENVIRONMENT_VARIABLES.map(str::to_owned).to_vec(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration `{path}` is longer than {MAX_FILE_BYTES} bytes")]
    TooLong { path: PathBuf },
    #[error("{}", render_problems(.path, .problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

/// One thing that is wrong in a configuration file. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
}

impl Config {
    /// Reads `named`, or without it the default file, which need not exist.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
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
    pub fn from_toml(text: &str) -> Result<Self, Vec<Problem>> {
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
                DataStreams::new(written).map_err(|name| format!("`{name}` does not say where `{{category}}` stands"))
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

/// Turns written values into checked ones and collects what is wrong with them.
struct Checker<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn value<Written, Checked>(
        &mut self,
        written: Option<Spanned<Written>>,
        default: Checked,
        check: impl FnOnce(Written) -> Result<Checked, String>,
    ) -> Checked {
        let Some(written) = written else { return default };
        let start = written.span().start;
        check(written.into_inner()).unwrap_or_else(|message| {
            self.problems.push(Problem::at(self.text, start, &message));
            default
        })
    }
}

fn in_range(written: i64, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    u32::try_from(written)
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| format!("`{written}` is out of range: {} to {}", range.start(), range.end()))
}

/// A number and a unit: `250ms`, `10m`, `14d`.
fn parse_duration(written: &str) -> Result<Duration, String> {
    let digits = written.len() - written.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = written.split_at(digits);
    let unit_milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" => Some(24 * 60 * 60 * 1000),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(unit_milliseconds)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration is a whole number and a unit (ms, s, m, h or d), such as `10m`".to_owned())
}

/// Keys that the default configuration, which states every key, does not have.
fn unknown_keys(text: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let Ok(known) = DeTable::parse(DEFAULT_TOML) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    collect_unknown_keys(text, table, known.get_ref(), &mut problems);
    problems
}

fn collect_unknown_keys(text: &str, table: &DeTable<'_>, known: &DeTable<'_>, problems: &mut Vec<Problem>) {
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        match (known.get(name).map(Spanned::get_ref), value.get_ref()) {
            (None, _) => problems.push(Problem {
                help: nearest(name, known.keys().map(|key| key.get_ref().as_ref()))
                    .map(|nearest| format!("did you mean `{nearest}`?")),
                ..Problem::at(text, key.span().start, &format!("unknown key `{name}`"))
            }),
            (Some(DeValue::Table(known)), DeValue::Table(table)) => {
                collect_unknown_keys(text, table, known, problems);
            }
            (Some(_), _) => {}
        }
    }
}

/// The candidate that takes the fewest edits to reach, if a typing error could explain them.
fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (edit_distance(typed, candidate), candidate))
        .min()
        .filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, one row at a time.
fn edit_distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (deleted, from_char) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = deleted + 1;
        for (column, to_char) in to.chars().enumerate() {
            let substituted = diagonal + usize::from(from_char != to_char);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

impl Problem {
    fn at(text: &str, offset: usize, message: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.to_owned(),
            help: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

fn render_problems(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}:{problem}", path.display()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expect: Expect) {
        let rendered = match Config::from_toml(text) {
            Ok(config) => format!("{config:#?}"),
            Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        };
        expect.assert_eq(&rendered);
    }

    #[test]
    fn the_printed_default_is_the_default() {
        assert_eq!(Config::from_toml(DEFAULT_TOML).unwrap(), Config::default());
        assert_eq!(Config::from_toml("").unwrap(), Config::default());
    }

    #[test]
    fn the_documentation_names_every_key_with_its_default() {
        let documentation = include_str!("../../docs/configuration.md");
        let settings = DEFAULT_TOML
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains(" = "));
        for (key, default) in settings.filter_map(|line| line.split_once(" = ")) {
            let mut rows = documentation
                .lines()
                .filter(|line| line.starts_with(&format!("| `{key}`")));
            assert!(rows.any(|row| row.contains(&format!("| `{default}` |"))), "{key}");
        }
    }

    #[test]
    fn all_unknown_keys_are_reported_with_what_may_have_been_meant() {
        check(
            "learn_fro = \"1h\"\nquux = 1\n[containers]\ndocker_sock = \"/x\"\n",
            expect![[r#"
                1:1: unknown key `learn_fro` (did you mean `learn_for`?)
                2:1: unknown key `quux`
                4:1: unknown key `docker_sock` (did you mean `docker_socket`?)
            "#]],
        );
    }

    #[test]
    fn all_values_out_of_range_are_reported_at_their_place() {
        check(
            "learn_for = \"soon\"\nformat = \"xml\"\n[kernel]\nring_buffer_bytes = 100000\narguments_limit_bytes = -1\n",
            expect![[r#"
                1:13: a duration is a whole number and a unit (ms, s, m, h or d), such as `10m`
                2:10: the format is one of `auto`, `text` and `json`
                4:21: the size has to be a power of two, such as 65536 or 131072
                5:25: `-1` is out of range: 4096 to 1048576
            "#]],
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_reported_at_its_place() {
        check(
            "\nstock_rules = \"yes\"\n",
            expect![[r#"
            2:15: invalid type: string "yes", expected a boolean
        "#]],
        );
        check(
            "kernel = 1\n",
            expect![[r#"
                1:10: invalid type: integer `1`, expected a table
            "#]],
        );
    }

    #[test]
    fn further_engines_say_whose_containers_are_theirs() {
        let engines = |text: &str| {
            let config = Config::from_toml(&format!("[containers]\nfurther_engines = {text}\n"));
            let engines = config.map(|config| config.containers.engines[4..].to_vec());
            format!("{engines:?}")
        };
        expect![[r#"Ok([EngineSocket { kind: Containerd, path: "/n/c.sock", place: Inside("node") }, EngineSocket { kind: Podman, path: "/p.sock", place: User(1000) }])"#]]
            .assert_eq(&engines(r#"[{engine = "containerd", socket = "/n/c.sock", inside = "node"}, {engine = "podman", socket = "/p.sock", user = 1000}]"#));
        for wrong in [
            r#"[{engine = "lxc", socket = "/x"}]"#,
            r#"[{engine = "podman", socket = "/x", user = 1, inside = "y"}]"#,
            r#"[{engine = "podman", socket = "/x", usr = 1}]"#,
            r#"[{engine = "podman"}]"#,
        ] {
            assert!(
                engines(wrong).starts_with("Err([Problem { line: 2"),
                "{wrong}: {}",
                engines(wrong)
            );
        }
    }

    #[test]
    fn an_empty_path_switches_an_engine_off() {
        let config = Config::from_toml("[containers]\npodman_socket = \"\"\ncrio_socket = \"\"\n").unwrap();
        let kinds: Vec<&str> = config
            .containers
            .engines
            .iter()
            .map(|engine| engine.kind.name())
            .collect();
        assert_eq!(kinds, ["docker", "containerd"]);
    }

    #[test]
    fn a_syntax_error_is_reported_at_its_place() {
        check(
            "rules = [\nstock_rules = true\n",
            expect![[r#"
            2:13: unexpected `=` in array, expected value, `]`
        "#]],
        );
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86400)));
        for wrong in [
            "",
            "m",
            "10",
            "1.5h",
            "-1s",
            "10 m",
            "1h30m",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(parse_duration(wrong).is_err(), "`{wrong}` was accepted");
        }
    }

    #[test]
    fn a_file_that_was_named_has_to_exist() {
        let error = Config::load(Some(Path::new("/nonexistent/tidewaiter.toml"))).unwrap_err();
        assert!(matches!(error, ConfigError::Read { .. }));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_configuration_or_a_problem_inside_the_text(text in "\\PC*|([a-z_]{1,9} = .{0,9}\n){0,4}") {
            if let Err(problems) = Config::from_toml(&text) {
                proptest::prop_assert!(!problems.is_empty());
                for problem in problems {
                    proptest::prop_assert!(problem.line <= text.split('\n').count());
                }
            }
        }
    }
}
