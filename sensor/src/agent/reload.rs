//! Rules are read here, at the start and again whenever somebody asks for it; then the configuration is too.

use std::collections::BTreeSet;

use rule_engine::{Severity, fields};
use tracing::{info, warn};

use super::handler::{NewRules, Update};
use super::health::Vitals;
use super::notify;
use super::request::{Cause, ReloadRequest};
use super::watch::Watched;
use crate::config::{Config, ConfigError};
use crate::control::Reloaded;
use crate::detection::Rules;
use crate::kernel::Environment;
use crate::rule_files::{RuleFiles, RuleFilesError, RuleStatus};

/// Broken rules that are named in one line.
const NAMED_AT_MOST: usize = 5;

/// The rules that can run, and which are broken.
pub(crate) struct Loaded {
    pub(crate) rules: Rules,
    pub(crate) broken: Broken,
}

/// Rules that are wrong, each by its file and what id it has.
#[derive(Clone, Default)]
pub(crate) struct Broken(BTreeSet<String>);

impl Broken {
    /// Why the sensor does not do all that it was told to; `None` if nothing is broken.
    pub(crate) fn problem(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| format!("{} rules are broken and left out: {}", self.0.len(), self))
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named: Vec<&str> = self.0.iter().take(NAMED_AT_MOST).map(String::as_str).collect();
        f.write_str(&named.join(", "))?;
        match self.0.len().saturating_sub(NAMED_AT_MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Reads and compiles the configured rules; says on stderr what is wrong with which.
///
/// # Errors
/// No rule can run.
pub(crate) fn load_rules(config: &Config) -> Result<Loaded, RuleFilesError> {
    let mut files = RuleFiles::from_config(config)?;
    report_findings(&files);
    let broken = files.reports().filter(|report| report.status == RuleStatus::Error);
    let broken = broken.map(|report| match &report.rule_id {
        Some(rule_id) => format!("`{}` ({rule_id})", report.path),
        None => format!("`{}`", report.path),
    });
    let broken = Broken(broken.collect());
    let rules = Rules::compile(files.take_rules());
    if rules.count() == 0 {
        return Err(RuleFilesError::NoneRuns);
    }
    Ok(Loaded { rules, broken })
}

/// What a reload goes by.
pub(crate) struct Reloading<Load> {
    /// Reads the configuration.
    pub(crate) load: Load,
    /// As it runs.
    pub(crate) config: Config,
    pub(crate) broken: Broken,
    /// What the kernel side was started with.
    pub(crate) environment: Environment,
    pub(crate) vitals: Vitals,
    pub(crate) watched: Watched,
}

impl<Load: FnMut() -> Result<Config, ConfigError>> Reloading<Load> {
    /// The rules as they are now; `None` if the ones before are to stay: no rule can run, or one is broken that was not.
    pub(crate) fn reload(&mut self, request: ReloadRequest) -> Option<Update> {
        notify::reloading();
        self.watched.note();
        let ReloadRequest { cause, answer } = request;
        let tell = move |is_taken, what: String| {
            if let Some(answer) = answer {
                // Who asked may have gone.
                let _ = answer.try_send(Reloaded { is_taken, what });
            }
        };
        match self.read() {
            Ok((rules, further)) => {
                info!("{} rules are loaded anew{}", rules.count(), why(cause));
                let (vitals, problem) = (self.vitals.clone(), self.broken.problem());
                let taken = move |status: &str| {
                    vitals.set_status(status);
                    vitals.set_rules(problem);
                    tell(true, format!("{status}{further}"));
                };
                Some(Update::Rules(Box::new(NewRules {
                    rules,
                    taken: Box::new(taken),
                })))
            }
            Err(problem) => {
                warn!("the rules stay as they were: {problem}");
                notify::ready("the rules stay as they were before the reload");
                let problem = format!("the rules stay as they were: {problem}");
                self.vitals.set_rules(Some(problem.clone()));
                tell(false, problem);
                None
            }
        }
    }

    /// The new rules, and what further there is to say.
    fn read(&mut self) -> Result<(Rules, String), String> {
        let read = (self.load)().map_err(|error| error.to_string())?;
        let Loaded { rules, broken } = load_rules(&read).map_err(|error| error.to_string())?;
        let newly = Broken(broken.0.difference(&self.broken.0).cloned().collect());
        if !newly.0.is_empty() {
            return Err(format!("{} rules are broken that were not: {newly}", newly.0.len()));
        }
        let mut further = String::new();
        let mut add = |what: String| {
            warn!("{what}");
            further = format!("{further}; {what}");
        };
        let waiting = self.config.waiting_for_start(&read);
        if !waiting.is_empty() {
            add(format!(
                "{} changed in the configuration: start the sensor anew to have that",
                waiting.join(", ")
            ));
        }
        if rules.reads(fields::PROCESS_ENV_VARS) && self.environment == Environment::LeftAlone {
            add("a rule reads `process.env_vars`, as none did before: start the sensor anew to have it".to_owned());
        }
        self.config.take_rules_of(read);
        self.watched.set_paths(self.config.watched());
        self.broken = broken;
        Ok((rules, further))
    }
}

fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::Signal | Cause::Command => "",
        Cause::Files => ", for their files have changed",
    }
}

/// Says what is wrong with rule files.
fn report_findings(files: &RuleFiles) {
    let mut left_out = 0;
    for file in &files.files {
        for diagnostic in &file.report.diagnostics {
            let text = diagnostic.render(&file.report.path, &file.text);
            match diagnostic.severity {
                Severity::Error => warn!("{}", text.trim_end()),
                Severity::Warning => info!("{}", text.trim_end()),
            }
        }
        left_out += usize::from(file.report.status != RuleStatus::Ok);
    }
    if left_out > 0 {
        warn!("{left_out} rules cannot run");
    }
}
