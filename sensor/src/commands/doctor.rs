//! `tidewaiter doctor`: what this host has and lacks, and what to do about it.
//!
//! The same checks come first in `run` and `events` ([`require`]), so that a host that lacks something is told so in
//! the same words. Nothing is changed on the host.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use serde::Serialize;

use super::{CommandError, ExitStatus, style_for};
use crate::cli::{ColorChoice, DoctorArguments};
use crate::config::{Config, Format};
use crate::kernel::{self, BTF_PATH, Resolved};
use crate::outputs::text::Style;
use crate::text::escape::Visible;

mod checks;
mod engines;
mod facts;

use facts::HostFacts;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) status: CheckStatus,
    /// What was found, and what follows from it.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckStatus {
    Ok,
    /// The sensor runs, but knows or does less.
    Warn,
    /// The sensor cannot run.
    Fail,
}

/// What the host lacks and the sensor cannot do without.
#[derive(Debug, thiserror::Error)]
pub(crate) struct LackingHost(Vec<Check>);

impl fmt::Display for LackingHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this host lacks what the sensor needs")?;
        for check in &self.0 {
            write!(f, "\n  {}: {}", check.name, Visible(&check.found))?;
            if let Some(remedy) = &check.remedy {
                write!(f, "\n    what to do: {}", Visible(remedy))?;
            }
        }
        Ok(())
    }
}

/// Looks at the host, in an order in which one reads it.
fn host_checks(config: &Config) -> Vec<Check> {
    checks::judge(&HostFacts::gather(config), config)
}

/// Whether the sensor can run here; says on stderr what will be missing if it can. Of container engines the directory
/// tells itself, also when they come or go.
pub(crate) fn require(config: &Config) -> Result<(), LackingHost> {
    let mut checks = host_checks(config);
    for check in checks.iter().filter(|check| check.status == CheckStatus::Warn) {
        let remedy = check.remedy.as_deref().unwrap_or_default();
        tracing::warn!("{}: {} ({})", check.name, Visible(&check.found), Visible(remedy));
    }
    checks.retain(|check| check.status == CheckStatus::Fail);
    if checks.is_empty() {
        Ok(())
    } else {
        Err(LackingHost(checks))
    }
}

pub(crate) fn main(arguments: &DoctorArguments, color: ColorChoice) -> Result<ExitStatus, CommandError> {
    let config = Config::load(arguments.config.config.as_deref())?;
    let mut checks = host_checks(&config);
    checks.extend(checks::kernel_fields(resolve_layout()));
    checks.extend(engines::judge(&engines::ask(&config.containers.engines)));
    let text = match arguments.format {
        Format::Json => serde_json::json!(checks).to_string() + "\n",
        Format::Text => render(&checks, style_for(&io::stdout(), color)),
    };
    io::stdout().write_all(text.as_bytes())?;
    let is_lacking = checks.iter().any(|check| check.status == CheckStatus::Fail);
    Ok(if is_lacking {
        ExitStatus::HostLacks
    } else {
        ExitStatus::Ok
    })
}

/// What this kernel has of what the sensor reads; nothing where its type information is missing, which is told anyway.
fn resolve_layout() -> Option<Resolved> {
    kernel::resolve(&std::fs::read(BTF_PATH).ok()?).ok()
}

fn render(checks: &[Check], style: Style) -> String {
    let mut text = String::new();
    for check in checks {
        let (word, colour) = match check.status {
            CheckStatus::Ok => ("ok  ", "32"),
            CheckStatus::Warn => ("warn", "33"),
            CheckStatus::Fail => ("FAIL", "1;31"),
        };
        let word = match style {
            Style::Plain => word.to_owned(),
            Style::Colored => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
        };
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{word}  {:<16}  {}", check.name, Visible(&check.found));
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "{:24}what to do: {}", "", Visible(remedy));
        }
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    let _ = match (count(CheckStatus::Fail), count(CheckStatus::Warn)) {
        (0, 0) => writeln!(text, "\nthe sensor can run here"),
        (0, _) => writeln!(text, "\nthe sensor can run here, with less than it could know"),
        (lacking, _) => writeln!(text, "\nthe sensor cannot run here: {lacking} of the above failed"),
    };
    text
}
