//! What has to be true of the package and its unit after the trial (`guest/trial.sh`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A rule that runs without being asked for, and needs no container.
pub(super) const STOCK_RULE: &str = "Sensor attacked";

/// What `systemd-analyze security` may say at most, of ten.
const EXPOSURE_AT_MOST: f64 = 3.0;

type NamedCheck = (&'static str, fn(&Evidence) -> Result<()>);

/// In the order of the trial.
pub(super) const CHECKS: [NamedCheck; 10] = [
    ("the package installs, is enabled and runs once it is ready", installs),
    ("little is exposed", exposes_little),
    ("an alert of a stock rule is in the journal", alerts),
    ("a reload takes a new rule", reloads),
    (
        "a reload with a broken rule fails and changes nothing",
        refuses_broken_rules,
    ),
    ("one that stands still is started anew by the watchdog", is_watched),
    ("an upgrade starts the new one, which remembers", upgrades),
    ("it stops cleanly", stops),
    ("the journal has the sensor's own lines", logs),
    ("a purge leaves nothing", purges),
];

/// What was seen in the virtual machine.
pub(super) struct Evidence {
    folder: PathBuf,
    /// Of the unit, what systemd says of it among it.
    lines: Vec<String>,
}

impl Evidence {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let journal = folder.join("journal");
        let text = fs::read_to_string(&journal).with_context(|| format!("could not read `{}`", journal.display()))?;
        let lines = text.lines().map(|line| -> Result<String> {
            let entry: Value = serde_json::from_str(line).context("the journal is damaged")?;
            Ok(entry["MESSAGE"].as_str().unwrap_or_default().to_owned())
        });
        Ok(Self {
            folder: folder.to_owned(),
            lines: lines.collect::<Result<_>>()?,
        })
    }

    /// As a number of ten.
    pub(super) fn exposure(&self) -> Result<f64> {
        let text = self.text("security")?;
        let line = text.lines().find(|line| line.contains("Overall exposure level"));
        let number = line.and_then(|line| line.rsplit(": ").next()?.split(' ').next());
        let number = number.context("`systemd-analyze` tells no exposure")?;
        number.parse().with_context(|| format!("`{number}` is no number"))
    }

    fn text(&self, name: &str) -> Result<String> {
        let file = self.folder.join(name);
        fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))
    }

    /// The documents among the lines.
    fn documents(&self) -> impl Iterator<Item = Value> {
        self.lines.iter().filter_map(|line| serde_json::from_str(line).ok())
    }

    fn alerts_of(&self, rule: &str) -> Vec<Value> {
        let alerts = self.documents();
        alerts.filter(|alert| alert["kibana.alert.rule.name"] == rule).collect()
    }

    fn ensure_line(&self, text: &str) -> Result<()> {
        ensure!(
            self.lines.iter().any(|line| line.contains(text)),
            "`{text}` is not in the journal"
        );
        Ok(())
    }

    /// That a command ended with this.
    fn ensure_status(&self, name: &str, is_good: bool) -> Result<()> {
        let status = self.text(&format!("{name}.status"))?;
        ensure!(
            (status.trim() == "0") == is_good,
            "`{name}` ended with {}",
            status.trim()
        );
        Ok(())
    }

    /// What systemd said of the unit at one moment.
    fn property(&self, moment: &str, name: &str) -> Result<String> {
        let text = self.text(&format!("{moment}.state"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let value = value.with_context(|| format!("`{moment}` tells no {name}"))?;
        Ok(value.to_owned())
    }

    fn ensure_properties(&self, moment: &str, expected: &[(&str, &str)]) -> Result<()> {
        for (name, expected) in expected {
            let value = self.property(moment, name)?;
            ensure!(value == *expected, "`{moment}`: {name} is {value}, not {expected}");
        }
        Ok(())
    }
}

const RUNNING: [(&str, &str); 3] = [("ActiveState", "active"), ("SubState", "running"), ("Type", "notify")];

fn installs(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("install", true)?;
    ensure!(evidence.text("enabled")?.trim() == "enabled", "the unit is not enabled");
    evidence.ensure_properties("installed", &RUNNING)?;
    let status = evidence.property("installed", "StatusText")?;
    ensure!(status.starts_with("watching"), "it says of itself: {status}");
    evidence.ensure_properties("installed", &[("NRestarts", "0")])
}

fn exposes_little(evidence: &Evidence) -> Result<()> {
    let exposure = evidence.exposure()?;
    ensure!(exposure < EXPOSURE_AT_MOST, "{exposure} of ten");
    Ok(())
}

fn alerts(evidence: &Evidence) -> Result<()> {
    let alerts = evidence.alerts_of(STOCK_RULE);
    let is_it = |alert: &Value| alert["process"]["args"] == serde_json::json!(["pidof", "tidewaiter"]);
    ensure!(alerts.iter().any(is_it), "none of {} alerts is the one", alerts.len());
    Ok(())
}

fn reloads(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("reload", true)?;
    ensure!(
        terms(evidence).contains(&"known".to_owned()),
        "the new rule gave no alert"
    );
    Ok(())
}

fn refuses_broken_rules(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("reload-broken", false)?;
    evidence.ensure_properties("reloaded", &RUNNING)?;
    evidence.ensure_line("the rules stay as they were")?;
    let same = "MainPID";
    ensure!(
        evidence.property("reloaded", same)? == evidence.text("stopped.pid")?.trim(),
        "the sensor was started anew"
    );
    evidence.ensure_status("reload-mended", true)
}

fn is_watched(evidence: &Evidence) -> Result<()> {
    evidence.ensure_line("Watchdog timeout")?;
    evidence.ensure_properties("restarted", &RUNNING)?;
    evidence.ensure_properties("restarted", &[("NRestarts", "1")])?;
    let mut told = evidence.documents();
    ensure!(
        told.any(|document| document["event"]["action"] == "sensor-ended-uncleanly"),
        "the next one does not tell how the first one ended"
    );
    Ok(())
}

/// What was alerted before is not alerted again.
fn upgrades(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("upgrade", true)?;
    evidence.ensure_properties("upgraded", &RUNNING)?;
    ensure!(
        evidence.property("upgraded", "MainPID")? != evidence.property("restarted", "MainPID")?,
        "the old one still runs"
    );
    let version = evidence.text("version")?;
    ensure!(version.ends_with("+next"), "`{version}` is installed");
    let terms = terms(evidence);
    ensure!(terms == ["known", "new"], "alerts on {terms:?}");
    Ok(())
}

fn stops(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("stop", true)?;
    let expected = [
        ("ActiveState", "inactive"),
        ("SubState", "dead"),
        ("Result", "success"),
        ("ExecMainStatus", "0"),
    ];
    evidence.ensure_properties("stopped", &expected)
}

fn logs(evidence: &Evidence) -> Result<()> {
    evidence.ensure_line("Ctrl-C ends it")?;
    evidence.ensure_line("Started tidewaiter.service")?;
    evidence.ensure_line("rules are loaded anew")
}

fn purges(evidence: &Evidence) -> Result<()> {
    evidence.ensure_status("purge", true)?;
    let left = evidence.text("left")?;
    ensure!(left.is_empty(), "left: {left}");
    let enabled = evidence.text("enabled-after")?;
    ensure!(enabled.trim() != "enabled", "the unit is still enabled");
    Ok(())
}

/// What the rule about new terms has alerted on.
fn terms(evidence: &Evidence) -> Vec<String> {
    let alerts = evidence.alerts_of("Term");
    let terms = alerts.iter().filter_map(|alert| alert["process"]["args"][2].as_str());
    terms.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_without_evidence_fails() {
        let evidence = Evidence {
            folder: PathBuf::from("/nowhere"),
            lines: Vec::new(),
        };
        for (name, check) in CHECKS {
            assert!(check(&evidence).is_err(), "{name}");
        }
    }
}
