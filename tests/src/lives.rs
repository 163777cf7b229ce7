//! Ordinary lives of containers, to hold the stock rules against: what runs, and what rules may say of it.
//!
//! A life is a script in `lives/`. Its first lines say what it is and which alerts it may raise, one a line:
//!
//! ```text
//! # alerts: 2 Name of the rule: why
//! ```
//!
//! `# steady` marks what goes on for as long as its host does.

pub mod image;
pub mod recording;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::document::Document;
use crate::engine::Engine;
use crate::lines::Lines;
use crate::program::{repository, run};

/// How many lives go on at once.
const AT_ONCE: usize = 4;

/// The label of a life's containers.
const LABEL: &str = "life";

/// A script with what is written in its first lines.
pub struct Life {
    pub name: String,
    script: PathBuf,
    /// Whether it goes on as long as its host does.
    pub is_steady: bool,
    /// By the name of the rule.
    pub may_raise: BTreeMap<String, usize>,
}

/// The folder of the scripts.
pub fn folder() -> PathBuf {
    repository().join("tests/lives")
}

/// All lives by name.
pub fn all() -> Result<Vec<Life>> {
    let mut lives = Vec::new();
    for entry in fs::read_dir(folder())? {
        let script = entry?.path();
        if script.extension().is_some_and(|ending| ending == "sh") {
            lives.push(Life::read(&script).with_context(|| script.display().to_string())?);
        }
    }
    lives.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(lives)
}

impl Life {
    fn read(script: &Path) -> Result<Self> {
        let name = script.file_stem().and_then(|name| name.to_str()).context("no name")?;
        let text = fs::read_to_string(script)?;
        let mut life = Self {
            name: name.to_owned(),
            script: script.to_owned(),
            is_steady: false,
            may_raise: BTreeMap::new(),
        };
        for line in text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim) {
            match line.split_once(": ") {
                Some(("alerts", alerts)) => {
                    let (number, rest) = alerts.split_once(' ').context("a number and a rule are missing")?;
                    let (rule, why) = rest.split_once(": ").context("it is not said why")?;
                    ensure!(!why.is_empty(), "it is not said why");
                    life.may_raise.insert(rule.to_owned(), number.parse()?);
                }
                _ if line == "steady" => life.is_steady = true,
                _ => {}
            }
        }
        Ok(life)
    }
}

/// Each container that an engine made, by its id, with the life that its label names.
pub struct Containers {
    events: Child,
    lines: Lines,
}

impl Containers {
    /// Begins to listen, which an engine answers with what was before too.
    pub fn listen(engine: &Engine) -> Result<Self> {
        let mut events = engine.docker(&["events", "--since", "0", "--filter", "event=create"]);
        events.args(["--filter", "type=container", "--format", "{{json .}}"]);
        let mut events = events.stdout(Stdio::piped()).spawn()?;
        let lines = Lines::of(events.stdout.take().context("the output is not connected")?);
        Ok(Self { events, lines })
    }

    /// Of all containers until now.
    pub fn lives(&self) -> Result<HashMap<String, String>> {
        let mut lives = HashMap::new();
        for line in self.lines.so_far() {
            let event: Value = serde_json::from_str(&line)?;
            let (id, life) = (&event["Actor"]["ID"], &event["Actor"]["Attributes"][LABEL]);
            if let (Some(id), Some(life)) = (id.as_str(), life.as_str()) {
                lives.insert(id.to_owned(), life.to_owned());
            }
        }
        Ok(lives)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let _ = self.events.kill();
        let _ = self.events.wait();
    }
}

/// Runs all to their ends, a few at once. In a later round containers go on that stay, and what is done in them is done again.
pub fn live(lives: &[Life], engine: &Engine, round: u32) -> Result<()> {
    let left = Mutex::new(lives.iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(life) = next() {
                    if let (Err(error), Ok(mut failed)) = (live_one(life, engine, round), failed.lock()) {
                        failed.push(format!("{}: {error:#}", life.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn live_one(life: &Life, engine: &Engine, round: u32) -> Result<()> {
    let mut shell = engine.with_docker("timeout");
    shell.args(["600", "bash", "-eu"]).arg(&life.script);
    shell.env("BASH_ENV", folder().join("common/words.bash"));
    shell.env("LIFE", &life.name).env("IMAGE", image::NAME);
    shell.env("ROUND", round.to_string());
    run(&mut shell)?;
    Ok(())
}

/// What of each life is told, by rule.
pub type Told = BTreeMap<String, BTreeMap<String, Vec<Document>>>;

/// Sorts alerts by life and rule.
pub fn told(alerts: Vec<Document>, lives: &HashMap<String, String>) -> Result<Told> {
    let mut told = Told::new();
    for alert in alerts {
        let life = lives.get(&alert.text("container.id"));
        let life = life.with_context(|| format!("an alert of no life: {alert}"))?;
        let rules = told.entry(life.clone()).or_default();
        rules.entry(alert.rule()).or_default().push(alert);
    }
    Ok(told)
}
