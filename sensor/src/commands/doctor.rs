//! `tidewaiter doctor`: what this host has and lacks, and what to do about it.
//!
//! The same checks come first in `run` and `events` ([`require`]), so that a host that lacks something is reported in
//! the same words. Nothing is changed on the host.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{CommandError, ExitStatus, style_for};
use crate::agent::start;
use crate::cli::{ColorChoice, DoctorArguments};
use crate::config::{Config, Format};
use crate::kernel::{self, BTF_PATH, Resolved};
use crate::outputs::text::Style;
use crate::text::escape::Visible;

pub(crate) mod check;
mod checks;
mod engines;
mod facts;
mod host;
mod security;

use check::{Check, CheckStatus, LackingHost};
use facts::HostFacts;
use security::Security;

/// Looks at the host, in an order in which one reads it.
fn host_checks(config: &Config) -> Vec<Check> {
    let mut checks = checks::judge(&HostFacts::gather(config), config);
    checks.extend(host::judge(&start::host(config), &start::node_root(config)));
    checks
}

/// Whether the sensor can run here; says on stderr what will be missing if it can. The
/// directory itself reports on container engines, also when they come or go.
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

/// What this host lacks that the sensor cannot do without, if it does.
pub(crate) fn lacking(config: &Config) -> Option<String> {
    let mut checks = host_checks(config);
    checks.retain(|check| check.status == CheckStatus::Fail);
    (!checks.is_empty()).then(|| LackingHost(checks).to_string())
}

pub(crate) fn main(arguments: &DoctorArguments, color: ColorChoice) -> Result<ExitStatus, CommandError> {
    let config = Config::load(arguments.config.config.as_deref())?;
    if arguments.security {
        let security = Security::look(&config);
        io::stdout().write_all(security.render(arguments.format).as_bytes())?;
        return Ok(match security.is_as_configured() {
            true => ExitStatus::Ok,
            false => ExitStatus::Findings,
        });
    }
    let mut checks = host_checks(&config);
    checks.extend(checks::kernel_fields(resolve_layout()));
    checks.extend(engines::judge(&engines::ask(&config.containers.engines())));
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

/// What this kernel has of what the sensor reads; nothing where its type information is missing, which is reported anyway.
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
