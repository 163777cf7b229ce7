//! The rules that are measured: those that are built in, Elastic's where they are, and made-up ones.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rule_engine::{CheckedRule, FieldType, ParseOptions, Producer, Schema, fields, parse_rule};

use super::corpus;

/// In the repository.
const STOCK: &str = "rules";
/// Beside the repository; not everybody has them.
const ELASTIC: &str = "../shared/elastic-rules";
/// Those of Elastic's folders whose rules are for events of processes.
const ELASTIC_FOLDERS: [&str; 2] = ["linux", "cloud_defend"];

/// Rules that are measured together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleSet {
    Stock,
    Elastic,
    MadeUp(usize),
}

impl RuleSet {
    pub(crate) const ALL: [RuleSet; 6] = [
        RuleSet::Stock,
        RuleSet::Elastic,
        RuleSet::MadeUp(100),
        RuleSet::MadeUp(250),
        RuleSet::MadeUp(1_000),
        RuleSet::MadeUp(2_500),
    ];

    pub(crate) fn name(self) -> String {
        match self {
            RuleSet::Stock => "stock".to_owned(),
            RuleSet::Elastic => "elastic".to_owned(),
            RuleSet::MadeUp(count) => format!("made-up-{count}"),
        }
    }

    pub(crate) fn named(name: &str) -> Result<RuleSet> {
        let mut sets = RuleSet::ALL.into_iter();
        sets.find(|set| set.name() == name)
            .with_context(|| format!("there are no rules `{name}`"))
    }

    pub(crate) fn is_there(self) -> bool {
        self != RuleSet::Elastic || repository().join(ELASTIC).is_dir()
    }

    /// The rule files.
    pub(crate) fn files(self) -> Result<Vec<String>> {
        match self {
            RuleSet::Stock => files_below(&repository().join(STOCK)),
            RuleSet::Elastic => {
                let folders = ELASTIC_FOLDERS.map(|folder| files_below(&repository().join(ELASTIC).join(folder)));
                Ok(folders.into_iter().collect::<Result<Vec<_>>>()?.concat())
            }
            RuleSet::MadeUp(count) => Ok((0..count).map(corpus::rule).collect()),
        }
    }
}

/// The rules of the files, none of which is ever held back.
pub(crate) fn parse(schema: &Schema, files: &[String]) -> Result<Vec<CheckedRule>> {
    let producer = Producer::new(schema.clone()).with_categories(&["process"]);
    let options = ParseOptions::new(producer).with_own_table("tidewaiter");
    let parse = |file: &String| {
        let unlimited = "[rule]\nmax_signals = 1000000000\n";
        let limit = file.lines().find(|line| line.starts_with("max_signals"));
        let file = limit.map_or_else(|| file.clone(), |limit| file.replace(limit, ""));
        parse_rule(&file.replacen("[rule]\n", unlimited, 1), &options).with_context(|| file)
    };
    files.iter().map(parse).collect()
}

/// The sensor's: its own fields are in the table that declares them.
pub(crate) fn schema() -> Result<Schema> {
    let table = include_str!("../../../../../sensor/src/record/own.rs");
    let mut schema = Schema::ecs();
    for row in table
        .lines()
        .filter_map(|line| line.split_once(": \"")?.1.strip_suffix(';'))
    {
        let mut words = row.split([',', ' ', '"']).filter(|word| !word.is_empty());
        let (Some(name), Some(field_type)) = (words.next(), words.next()) else {
            continue;
        };
        let field_type = match field_type {
            "Keyword" => FieldType::Keyword,
            "Long" => FieldType::Long,
            "Boolean" => FieldType::Boolean,
            "Date" => FieldType::Date,
            _ => continue,
        };
        schema = schema.with_field(name, field_type)?;
    }
    let nested_in = schema.field("tidewaiter.container.nested_in");
    let owner = [nested_in.context("the sensor has no such field")?, fields::CONTAINER_ID];
    Ok(schema.with_owner(&owner))
}

fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("could not read `{}`", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    ensure!(!paths.is_empty(), "`{}` has no rules", folder.display());
    let read =
        |path: &PathBuf| fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()));
    paths.iter().map(read).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
