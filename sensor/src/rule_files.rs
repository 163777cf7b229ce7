//! Where rules come from: files, directories, and the stock rules built into the program.
//!
//! Used by every command that needs rules, so that all of them read the same files in the same order. One bad file
//! never stops the others: what is wrong with it is in its report. Only a path that names no rule at all is an error,
//! because it is a typing error of whoever named it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rule_engine::{CheckedRule, Code, DataStreams, Diagnostic, Format, ParseOptions, parse_rules};

use crate::config::{Config, DEFAULT_RULES_DIRECTORY};
use crate::record::parse_options;

mod find;
mod report;
mod stock;

pub(crate) use find::RuleFilesError;
pub(crate) use find::{files_below, folders_below};
use find::{holds_no_rule, read_bounded};
pub(crate) use report::{RuleReport, RuleStatus};
use stock::STOCK_RULES;

/// A rule, what came of it, and the file that it is in, perhaps with others.
pub(crate) struct RuleFile {
    pub(crate) text: Arc<str>,
    /// The line of the file at which the rule begins, from 1.
    pub(crate) first_line: u32,
    pub(crate) report: RuleReport,
    /// There if and only if the report's status is [`RuleStatus::Ok`].
    pub(crate) rule: Option<CheckedRule>,
}

/// Rule files in the order in which they were read; no two of their rules share a `rule_id`.
pub(crate) struct RuleFiles {
    pub(crate) files: Vec<RuleFile>,
    /// Where the rule stands that took the id first: `path:line`.
    place_of_id: HashMap<String, String>,
    /// The same for what rules look for, see [`CheckedRule::meaning`].
    place_of_meaning: HashMap<u64, String>,
    /// Against what files are read; the stock rules always in the default data streams.
    options: ParseOptions,
}

/// What rules of the configuration are read against: its data streams, and the fields that it declares.
fn options_of(config: &Config) -> Result<ParseOptions, RuleFilesError> {
    let options = parse_options(config.data_streams.clone());
    let mut own_fields = config.own_fields.iter();
    own_fields
        .try_fold(options, |options, (name, field_type)| {
            options.with_own_field(name, *field_type)
        })
        .map_err(RuleFilesError::OwnField)
}

impl RuleFiles {
    /// The rules a sensor runs: the stock ones unless they are off, then those of the paths.
    pub(crate) fn from_config(config: &Config) -> Result<Self, RuleFilesError> {
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
            Self::new(options_of(config)?)
        };
        rules.options = options_of(config)?;
        rules.read_paths(&paths)?;
        if rules.files.is_empty() {
            return Err(RuleFilesError::NoneConfigured);
        }
        Ok(rules)
    }

    /// The rules of the paths, or the stock ones if there are no paths.
    pub(crate) fn from_paths(paths: &[PathBuf], config: &Config) -> Result<Self, RuleFilesError> {
        if paths.is_empty() {
            return Ok(Self::stock());
        }
        let mut rules = Self::new(options_of(config)?);
        rules.read_paths(paths)?;
        Ok(rules)
    }

    /// No rules yet.
    fn new(options: ParseOptions) -> Self {
        Self {
            files: Vec::new(),
            place_of_id: HashMap::new(),
            place_of_meaning: HashMap::new(),
            options,
        }
    }

    /// The rules built into the program.
    pub(crate) fn stock() -> Self {
        let mut rules = Self::new(parse_options(DataStreams::default()));
        for (path, text) in STOCK_RULES {
            rules.add(path, Ok((*text).to_owned()));
        }
        rules
    }

    /// Takes out the rules that can run.
    pub(crate) fn take_rules(&mut self) -> Vec<CheckedRule> {
        self.files.iter_mut().filter_map(|file| file.rule.take()).collect()
    }

    /// The reports on all rules.
    pub(crate) fn reports(&self) -> impl Iterator<Item = &RuleReport> {
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
        for parsed in parse_rules(&text, format_of(path), &self.options) {
            let text = Arc::clone(&text);
            self.add_rule(match parsed {
                Ok(rule) => RuleFile {
                    text,
                    first_line: rule.line,
                    report: RuleReport::of_rule(path, &rule),
                    rule: Some(rule),
                },
                Err(report) => RuleFile {
                    text,
                    first_line: report.line,
                    report: RuleReport::of_failure(path, report),
                    rule: None,
                },
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

/// Exports of Kibana's end in `.ndjson`.
fn format_of(path: &str) -> Format {
    if path.ends_with(".ndjson") {
        Format::Ndjson
    } else {
        Format::Toml
    }
}

/// `path:line` of the rule's id.
fn place(file: &RuleFile) -> String {
    format!("{}:{}", file.report.path, id_line(file))
}

fn id_line(file: &RuleFile) -> u32 {
    if format_of(&file.report.path) == Format::Ndjson {
        return file.first_line;
    }
    line_of(&file.text, |line| line.trim_start().starts_with("rule_id"))
}

fn shadowed(first: &str, file: &RuleFile) -> Diagnostic {
    let message = format!("`{first}` looks for the same: each event that one of the two finds gives two alerts");
    Diagnostic::new(Code::SameCondition, message, id_line(file))
}

fn unreadable(path: &str, error: &io::Error) -> RuleFile {
    let diagnostic = Diagnostic::new(Code::UnreadableFile, format!("the file cannot be read: {error}"), 1);
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
    let message = format!("the rule_id `{rule_id}` is taken by `{first}`, which was read first and runs");
    Diagnostic::new(Code::DuplicateRuleId, message, id_line(file))
}

/// The number, from 1, of the first line that is wanted; 1 if there is none.
pub(crate) fn line_of(text: &str, is_wanted: impl FnMut(&str) -> bool) -> u32 {
    text.lines()
        .position(is_wanted)
        .and_then(|position| u32::try_from(position + 1).ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests;
