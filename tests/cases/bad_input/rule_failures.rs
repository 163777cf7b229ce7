//! Rule files with errors.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::Value;
use tests::program::tidewaiter;
use tests::sensor::Home;

use super::{assert_still_alerting, fence_on_host};

/// A rule with two errors in its query, each on a line of its own.
const TWO_ERRORS: &str = r#"
[rule]
name = "Two errors"
description = "Wrong on purpose."
rule_id = "f2a9b3a4-8f0e-4f5c-8a0f-0a3c9b1d7e11"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = '''
process where process.no_such_field == "x" and
  process.pid == "text"
'''
"#;

const NOT_TOML: &str = "[rule\nname = \"broken\"\n";

#[test]
fn all_errors_of_all_rules_are_named_and_the_other_rules_run() -> Result<()> {
    let home = Home::new()?;
    let fence = fence_on_host(&home)?;
    fs::write(home.rules().join("two-errors.toml"), TWO_ERRORS)?;
    fs::write(home.rules().join("not-toml.toml"), NOT_TOML)?;
    let sensor = home.run()?;
    let said = sensor.diagnostics.so_far().join("\n");
    for expected in [
        "two-errors.toml:11:",
        "two-errors.toml:12:",
        "no_such_field",
        "process.pid",
        "not-toml.toml:1:",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in:\n{said}");
    }
    assert_still_alerting(&sensor, &fence)
}

#[test]
fn rules_check_reports_all_errors_with_line_and_column_and_fails() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.rules().join("two-errors.toml"), TWO_ERRORS)?;
    let output = Command::new(tidewaiter()?)
        .args(["rules", "check", "--format", "json"])
        .arg(home.rules())
        .output()?;
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let report: Value = serde_json::from_slice(&output.stdout)?;
    let status_of = |file: &str| {
        let files = report.as_array().into_iter().flatten();
        let mut of_file = files.filter(|entry| entry["path"].as_str().is_some_and(|path| path.ends_with(file)));
        of_file.next().cloned().unwrap_or_default()
    };
    assert_eq!(status_of("fence.toml")["status"], "ok");
    let wrong = status_of("two-errors.toml");
    assert_eq!(wrong["status"], "error");
    let lines: Vec<&Value> = wrong["diagnostics"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["line"])
        .collect();
    assert_eq!(lines, [11, 12]);
    Ok(())
}

#[test]
fn a_rules_path_that_is_not_there_is_a_configuration_error() -> Result<()> {
    let home = Home::new()?;
    let mut command = home.command("run")?;
    command.args(["--rules", "/nonexistent/rules"]);
    tests::sensor::Sensor::start_without_waiting(&mut command)?.assert_fails(2, &["/nonexistent/rules"])
}
