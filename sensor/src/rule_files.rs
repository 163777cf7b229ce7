//! Where rules come from: files, directories, and the stock rules built into the program.
//!
//! Used by every command that needs rules, so that all of them read the same files in the same order. One bad file
//! never stops the others: what is wrong with it is in its report. Only a path that names no rule at all is an error,
//! because it is a typing error of whoever named it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rule_engine::diagnostic::{Diagnostic, Severity};
use rule_engine::rule::{self, CheckedRule, RuleReport, RuleStatus};
use rule_engine::streams::DataStreams;

use crate::config::{Config, DEFAULT_RULES_DIRECTORY};

macro_rules! stock {
    ($name:literal) => {
        (concat!("stock/", $name), include_str!(concat!("../../rules/", $name)))
    };
}

/// The rules of `rules/`, in the order of their names.
const STOCK_RULES: &[(&str, &str)] = &[
    stock!("cloud_metadata_credentials_in_container.toml"),
    stock!("container_engine_client_in_container.toml"),
    stock!("database_shell_in_container.toml"),
    stock!("discovery_burst_in_container.toml"),
    stock!("download_made_executable_in_container.toml"),
    stock!("download_piped_to_shell_in_container.toml"),
    stock!("encoded_payload_in_container.toml"),
    stock!("foreign_program_in_container.toml"),
    stock!("hidden_executable_in_container.toml"),
    stock!("history_cleared_in_container.toml"),
    stock!("host_disk_opened_in_container.toml"),
    stock!("host_entered_from_container.toml"),
    stock!("interactive_shell_in_container.toml"),
    stock!("kernel_helper_changed_from_container.toml"),
    stock!("kubernetes_client_in_container.toml"),
    stock!("miner_in_container.toml"),
    stock!("namespace_created_in_container.toml"),
    stock!("new_interactive_process_in_container.toml"),
    stock!("package_tool_installed_in_container.toml"),
    stock!("persistence_planted_in_container.toml"),
    stock!("reconnaissance_tool_in_container.toml"),
    stock!("reverse_shell_in_container.toml"),
    stock!("rights_from_foreign_program_in_container.toml"),
    stock!("secret_file_read_in_container.toml"),
    stock!("server_shell_in_container.toml"),
    stock!("shell_fed_by_pipe_in_container.toml"),
    stock!("tunnel_in_container.toml"),
];

/// Directories inside one another that are searched.
const MAX_DEPTH: usize = 16;
/// Rule files that are read from one path.
const MAX_FILES: usize = 20_000;
/// A rule file longer than this is not read; the rule engine's own limits are lower.
const MAX_FILE_BYTES: u64 = 17 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum RuleFilesError {
    #[error("cannot read the rules path `{path}`")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("there is no rule in `{path}`: no file in it ends in `.toml` or `.ndjson`")]
    NoRules { path: PathBuf },
    #[error("`{path}` holds more than {MAX_FILES} rule files, or is more than {MAX_DEPTH} directories deep")]
    TooMuch { path: PathBuf },
    #[error("there is no rule to run: `stock_rules` is off and no path is given")]
    NoneConfigured,
}

/// A rule, what came of it, and the file that it is in, perhaps with others.
pub struct RuleFile {
    pub text: Arc<str>,
    /// The line of the file at which the rule begins, from 1.
    pub first_line: u32,
    pub report: RuleReport,
    /// There if and only if the report's status is [`RuleStatus::Ok`].
    pub rule: Option<CheckedRule>,
}

/// Rule files in the order in which they were read; no two of their rules share a `rule_id`.
#[derive(Default)]
pub struct RuleFiles {
    pub files: Vec<RuleFile>,
    /// Where the rule stands that took the id first: `path:line`.
    place_of_id: HashMap<String, String>,
    /// The same for what rules look for, see [`CheckedRule::meaning`].
    place_of_meaning: HashMap<u64, String>,
    /// In which events are, for all but the stock rules.
    streams: DataStreams,
}

impl RuleFiles {
    /// The rules a sensor runs: the stock ones unless they are off, then those of the paths.
    pub fn of_config(config: &Config) -> Result<Self, RuleFilesError> {
        let is_absent_default = |path: &PathBuf| path == Path::new(DEFAULT_RULES_DIRECTORY) && holds_no_rule(path);
        let paths: Vec<PathBuf> = config
            .rules
            .iter()
            .filter(|path| !is_absent_default(path))
            .cloned()
            .collect();
        let mut rules = if config.stock_rules {
            Self::stock()
        } else {
            Self::default()
        };
        rules.streams.clone_from(&config.data_streams);
        rules.read_paths(&paths)?;
        if rules.files.is_empty() {
            return Err(RuleFilesError::NoneConfigured);
        }
        Ok(rules)
    }

    /// The rules of the paths, or the stock ones if there are no paths. Events are in these data streams.
    pub fn of_paths(paths: &[PathBuf], streams: &DataStreams) -> Result<Self, RuleFilesError> {
        if paths.is_empty() {
            return Ok(Self::stock());
        }
        let mut rules = Self {
            streams: streams.clone(),
            ..Self::default()
        };
        rules.read_paths(paths)?;
        Ok(rules)
    }

    /// The rules built into the program.
    pub fn stock() -> Self {
        let mut rules = Self::default();
        for (path, text) in STOCK_RULES {
            rules.add(path, Ok((*text).to_owned()));
        }
        rules
    }

    /// Takes out the rules that can run.
    pub fn take_rules(&mut self) -> Vec<CheckedRule> {
        self.files.iter_mut().filter_map(|file| file.rule.take()).collect()
    }

    /// What there is to tell about all files.
    pub fn reports(&self) -> impl Iterator<Item = &RuleReport> {
        self.files.iter().map(|file| &file.report)
    }

    fn read_paths(&mut self, paths: &[PathBuf]) -> Result<(), RuleFilesError> {
        for path in paths {
            for file in files_below(path)? {
                self.add(&file.to_string_lossy(), read_bounded(&file));
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &str, text: io::Result<String>) {
        let text: Arc<str> = match text {
            Ok(text) => text.into(),
            Err(error) => return self.files.push(unreadable(path, &error)),
        };
        for parsed in rule::parse_rules(path, &text, &self.streams) {
            self.add_rule(RuleFile {
                text: Arc::clone(&text),
                first_line: parsed.first_line,
                report: parsed.report,
                rule: parsed.rule,
            });
        }
    }

    fn add_rule(&mut self, mut file: RuleFile) {
        if let Some(rule_id) = &file.report.rule_id {
            match self.place_of_id.get(rule_id) {
                Some(first) => {
                    let duplicate = duplicate(rule_id, first, &file);
                    file.report.status = RuleStatus::Error;
                    file.report.diagnostics.push(duplicate);
                    file.rule = None;
                }
                None => {
                    self.place_of_id.insert(rule_id.clone(), place(&file));
                }
            }
        }
        if let Some(rule) = &file.rule {
            match self.place_of_meaning.entry(rule.meaning()) {
                Entry::Occupied(first) => {
                    let shadowed = shadowed(first.get(), &file);
                    file.report.diagnostics.push(shadowed);
                }
                Entry::Vacant(free) => {
                    free.insert(place(&file));
                }
            }
        }
        self.files.push(file);
    }
}

/// `path:line` of the rule's id.
fn place(file: &RuleFile) -> String {
    format!("{}:{}", file.report.path, id_line(file))
}

fn id_line(file: &RuleFile) -> u32 {
    if file.report.path.ends_with(".ndjson") {
        return file.first_line;
    }
    line_of(&file.text, |line| line.trim_start().starts_with("rule_id"))
}

fn shadowed(first: &str, file: &RuleFile) -> Diagnostic {
    Diagnostic {
        code: "same-condition",
        severity: Severity::Warning,
        message: format!("`{first}` looks for the same: each event that one of the two finds gives two alerts"),
        help: Some("leave one of the two out".to_owned()),
        line: id_line(file),
        column: 1,
    }
}

fn unreadable(path: &str, error: &io::Error) -> RuleFile {
    let diagnostic = Diagnostic {
        code: "unreadable-file",
        severity: Severity::Error,
        message: format!("the file cannot be read: {error}"),
        help: None,
        line: 1,
        column: 1,
    };
    let report = RuleReport {
        path: path.to_owned(),
        rule_id: None,
        name: None,
        rule_type: None,
        status: RuleStatus::Error,
        diagnostics: vec![diagnostic],
    };
    RuleFile {
        text: Arc::default(),
        first_line: 1,
        report,
        rule: None,
    }
}

fn duplicate(rule_id: &str, first: &str, file: &RuleFile) -> Diagnostic {
    Diagnostic {
        code: "duplicate-rule-id",
        severity: Severity::Error,
        message: format!("the rule_id `{rule_id}` is taken by `{first}`, which was read first and runs"),
        help: Some("give this rule an id of its own, or leave one of the two out".to_owned()),
        line: id_line(file),
        column: 1,
    }
}

/// The number, from 1, of the first line that is wanted; 1 if there is none.
pub fn line_of(text: &str, is_wanted: impl FnMut(&str) -> bool) -> u32 {
    text.lines()
        .position(is_wanted)
        .and_then(|position| u32::try_from(position + 1).ok())
        .unwrap_or(1)
}

/// Whether the path is not there, or is a directory without a rule file.
fn holds_no_rule(path: &Path) -> bool {
    match files_below(path) {
        Err(RuleFilesError::NoRules { .. }) => true,
        Err(RuleFilesError::Unreadable { source, .. }) => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The path itself if it is a file, else the rule files of the directory in the order of their paths.
fn files_below(path: &Path) -> Result<Vec<PathBuf>, RuleFilesError> {
    let unreadable = |source| RuleFilesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut directories = vec![(path.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            let is_hidden = entry
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            // Links are followed: mounted configuration is often made of them.
            let Some(metadata) = fs::metadata(&entry).ok().filter(|_| !is_hidden) else {
                continue;
            };
            let is_rule = entry
                .extension()
                .is_some_and(|extension| extension == "toml" || extension == "ndjson");
            if metadata.is_dir() {
                directories.push((entry, depth + 1));
            } else if metadata.is_file() && is_rule {
                files.push(entry);
            }
        }
        if depth > MAX_DEPTH || files.len() > MAX_FILES {
            return Err(RuleFilesError::TooMuch { path: path.to_owned() });
        }
    }
    if files.is_empty() {
        return Err(RuleFilesError::NoRules { path: path.to_owned() });
    }
    files.sort_unstable();
    Ok(files)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &[u8]) -> PathBuf {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn codes(rules: &RuleFiles) -> Vec<(String, Vec<&'static str>)> {
        let file_name = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
        rules
            .reports()
            .map(|report| {
                (
                    file_name(&report.path),
                    report.diagnostics.iter().map(|diagnostic| diagnostic.code).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn every_stock_rule_is_built_in() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let on_disk: Vec<_> = files_below(&directory)
            .unwrap()
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let built_in: Vec<_> = STOCK_RULES.iter().map(|(_, text)| (*text).to_owned()).collect();
        assert_eq!(built_in, on_disk);
    }

    #[test]
    fn every_stock_rule_can_run_and_keeps_to_its_examples() {
        for file in RuleFiles::stock().files {
            assert_eq!(file.report.status, RuleStatus::Ok, "{:?}", file.report);
            let outcomes = rule::run_examples(file.rule.as_ref().unwrap());
            for expectation in [rule::Expectation::Match, rule::Expectation::NoMatch] {
                assert!(
                    outcomes.iter().any(|outcome| outcome.expect == expectation),
                    "{}",
                    file.report.path
                );
            }
            assert!(outcomes.iter().all(rule::ExampleOutcome::passed), "{outcomes:#?}");
        }
    }

    #[test]
    fn the_rule_in_the_documentation_keeps_to_its_examples() {
        let documentation = include_str!("../../docs/rules.md");
        let (_, rest) = documentation.split_once("```toml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let parsed = rule::parse_file("docs/rules.md", text);
        assert!(parsed.report.diagnostics.is_empty(), "{:?}", parsed.report);
        let outcomes = rule::run_examples(&parsed.rule.unwrap());
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.passed()).count(),
            3,
            "{outcomes:#?}"
        );
    }

    #[test]
    fn directories_are_searched_in_order_and_hidden_or_other_files_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "b.toml",
            "a/z.toml",
            "notes.md",
            ".hidden.toml",
            ".git/x.toml",
            "a/deep/er.toml",
        ] {
            write(directory.path(), name, b"");
        }
        nix::unistd::mkfifo(&directory.path().join("fifo.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = files_below(directory.path()).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|file| file.strip_prefix(directory.path()).unwrap())
            .collect();
        assert_eq!(
            names,
            [Path::new("a/deep/er.toml"), Path::new("a/z.toml"), Path::new("b.toml")]
        );
    }

    #[test]
    fn a_path_that_names_no_rule_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().to_owned()];
        assert!(matches!(
            RuleFiles::of_paths(&paths, &DataStreams::default()),
            Err(RuleFilesError::NoRules { .. })
        ));
        let paths = [directory.path().join("absent")];
        assert!(matches!(
            RuleFiles::of_paths(&paths, &DataStreams::default()),
            Err(RuleFilesError::Unreadable { .. })
        ));
    }

    #[test]
    fn a_directory_that_contains_itself_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("again")).unwrap();
        assert!(matches!(
            files_below(directory.path()),
            Err(RuleFilesError::TooMuch { .. })
        ));
    }

    #[test]
    fn only_the_default_directory_may_be_absent() {
        let config = Config {
            stock_rules: false,
            ..Config::default()
        };
        if holds_no_rule(Path::new(DEFAULT_RULES_DIRECTORY)) {
            assert!(matches!(
                RuleFiles::of_config(&config),
                Err(RuleFilesError::NoneConfigured)
            ));
        }
        let config = Config {
            rules: vec![PathBuf::from("/nonexistent/rules")],
            ..Config::default()
        };
        assert!(matches!(
            RuleFiles::of_config(&config),
            Err(RuleFilesError::Unreadable { .. })
        ));
    }

    #[test]
    fn bad_files_are_reported_and_the_others_run() {
        let directory = tempfile::tempdir().unwrap();
        let (_, stock) = STOCK_RULES[0];
        write(directory.path(), "1-good.toml", stock.as_bytes());
        write(directory.path(), "2-same-id.toml", stock.as_bytes());
        write(directory.path(), "3-bytes.toml", &[0xff, 0xfe]);
        write(
            directory.path(),
            "4-long.toml",
            &vec![b'#'; MAX_FILE_BYTES as usize + 1],
        );
        let mut rules = RuleFiles::of_paths(&[directory.path().to_owned()], &DataStreams::default()).unwrap();
        assert_eq!(
            codes(&rules),
            [
                ("1-good.toml".to_owned(), vec![]),
                ("2-same-id.toml".to_owned(), vec!["duplicate-rule-id"]),
                ("3-bytes.toml".to_owned(), vec!["unreadable-file"]),
                ("4-long.toml".to_owned(), vec!["unreadable-file"]),
            ]
        );
        let duplicate = &rules.files[1].report.diagnostics[0];
        assert!(duplicate.message.contains("1-good.toml"), "{}", duplicate.message);
        assert!(
            rules.files[1]
                .text
                .lines()
                .nth(duplicate.line as usize - 1)
                .unwrap()
                .starts_with("rule_id")
        );
        assert_eq!(rules.take_rules().len(), 1);
    }

    #[test]
    fn all_rules_of_an_export_are_read_and_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let rule = |id: &str| {
            serde_json::json!({"rule_id": id, "name": "n", "description": "d", "severity": "low", "risk_score": 1,
                "type": "query", "query": "process.name:*"})
        };
        let text = format!("{}\n{}\n{}\n", rule("a"), rule("b"), rule("a"));
        write(directory.path(), "export.ndjson", text.as_bytes());
        let mut rules = RuleFiles::of_paths(&[directory.path().to_owned()], &DataStreams::default()).unwrap();
        let codes: Vec<_> = codes(&rules).into_iter().map(|(_, codes)| codes).collect();
        assert_eq!(codes, [vec![], vec!["same-condition"], vec!["duplicate-rule-id"]]);
        assert_eq!(rules.files[2].report.diagnostics[0].line, 3);
        let first = format!("{}:1", rules.files[0].report.path);
        for file in &rules.files[1..] {
            let message = &file.report.diagnostics[0].message;
            assert!(message.contains(&first), "{message}");
        }
        assert_eq!(rules.take_rules().len(), 2);
    }
}
