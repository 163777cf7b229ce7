//! Arguments of any length, and what is reported of the environment.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::cgroup::Cgroup;
use tests::document::Document;
use tests::image::{ORDINARY, place_stand_in};
use tests::program::run;
use tests::sensor::{Home, Sensor};

/// One argument of the padding: the kernel allows no longer one than 128 KiB.
const PADDING_BYTES: usize = 100_000;

const PRELOAD_RULE: &str = r#"
[rule]
name = "Preload"
description = "A library is put before all others."
rule_id = "0b9d1b54-3f0a-4f0e-8d7e-6d2f1a1c7c11"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and process.env_vars like "LD_PRELOAD=/nowhere*"'
"#;

#[test]
fn padding_does_not_hide_the_end_of_a_command_line() -> Result<()> {
    let home = Home::new()?;
    let program = program(&home)?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let padding = "x".repeat(PADDING_BYTES);
    let given = ["begin", &padding, &padding, &padding, "the", "end"];
    run(Command::new(&program).args(given))?;

    let event = exec_of(&sensor, "end")?;
    let arguments = event
        .get("process.args")
        .and_then(Value::as_array)
        .context("no arguments")?;
    let texts: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    let [_, "begin", head, tail, "the", "end"] = texts[..] else {
        panic!("{:?}", texts.iter().map(|text| text.len()).collect::<Vec<_>>())
    };
    assert!(padding.starts_with(head) && padding.ends_with(tail));
    assert_eq!(event.text("tidewaiter.process.arguments_complete"), "false");
    assert_eq!(event.text("tidewaiter.process.arguments_cut_after"), "3");
    let bytes = program.as_os_str().len() + 1 + given.iter().map(|text| text.len() + 1).sum::<usize>();
    assert_eq!(event.text("tidewaiter.process.arguments_bytes"), bytes.to_string());
    assert_eq!(event.text("tidewaiter.process.arguments_sha256").len(), 64);

    run(Command::new(&program).args(["short", "whole"]))?;
    let event = exec_of(&sensor, "whole")?;
    assert_eq!(event.text("tidewaiter.process.arguments_complete"), "true");
    assert_eq!(event.get("tidewaiter.process.arguments_sha256"), None);
    Ok(())
}

const NEEDLE: &str = "Needle";
const NEEDLE_RULE: &str = r#"
[rule]
name = "Needle"
description = "A program was started with a certain argument."
rule_id = "0b9d1b54-3f0a-4f0e-8d7e-6d2f1a1c7c12"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = '''
process where event.action == "exec" and process.args == "needle" and process.command_line like "*0 needle /etc/./shadow 0*" and
  tidewaiter.process.arguments_as_paths == "/etc/shadow" and tidewaiter.process.arguments_complete == true
'''
"#;

const INCOMPLETE: &str = "Incomplete";
const INCOMPLETE_RULE: &str = r#"
[rule]
name = "Incomplete"
description = "A program was started with arguments that are not known."
rule_id = "0b9d1b54-3f0a-4f0e-8d7e-6d2f1a1c7c13"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and tidewaiter.process.arguments_complete == false'
"#;

/// Starts the program with a megabyte before and behind what matters, twice: the second time is more than one may at once.
const PADDED: &str = "p=$(printf '%0100000d' 0); p=\"$p $p $p $p $p $p $p $p $p $p\"; \
    \"$1\" first $p needle /etc/./shadow $p end; \"$1\" second $p needle /etc/./shadow $p end";

#[test]
fn padding_hides_nothing_from_rules_and_who_pads_too_much_is_told() -> Result<()> {
    let home = Home::new()?;
    let program = program(&home)?;
    for (name, rule) in [("needle", NEEDLE_RULE), ("incomplete", INCOMPLETE_RULE)] {
        fs::write(home.rules().join(name).with_extension("toml"), rule)?;
    }
    let sensor = home.run()?;
    let cgroup = Cgroup::new("padded")?;
    run(&mut cgroup.shell(PADDED, &[program.as_os_str()]))?;

    let is_of = |alert: &Document, rule: &str, which: &str| {
        let args = alert.get("process.args").and_then(Value::as_array);
        let first = args.and_then(|args| args.get(1)?.as_str());
        alert.rule() == rule && first == Some(which)
    };
    let told = |rule: &str, which: &str| {
        sensor.wait_for(&format!("`{rule}` of the {which}"), |alert| {
            is_of(alert, rule, which).then(|| alert.clone())
        })
    };
    let alert = told(NEEDLE, "first")?;
    told(INCOMPLETE, "second")?;
    // The document has as much as is to be kept, and says so.
    assert_eq!(alert.text("tidewaiter.process.arguments_complete"), "false");
    assert_eq!(alert.text("process.args_count"), "25");
    let args = alert.text("process.args");
    assert!(args.len() < 40_000 && args.contains("end") && !args.contains("needle"));
    let alerts = sensor.alerts_so_far();
    assert!(!alerts.iter().any(|alert| is_of(alert, INCOMPLETE, "first")));
    Ok(())
}

#[test]
fn only_listed_variables_are_reported_and_only_where_a_rule_reads_them() -> Result<()> {
    let home = Home::new()?;
    let program = program(&home)?;
    fs::write(home.rules().join("preload.toml"), PRELOAD_RULE)?;
    let (sensor, recorder) = (home.run()?, Sensor::start(&mut home.command("events")?)?);
    // Behind more than one record's worth of others.
    let padding = "x".repeat(PADDING_BYTES / 5);
    let mut command = Command::new(&program);
    command.env_clear().env("A", &padding).env("A_TOKEN", "not-to-be-told");
    run(command
        .env("LD_PRELOAD", "/nowhere.so")
        .env("HISTFILE", "/dev/null")
        .arg("variables"))?;

    let alert = sensor.wait_for("alert about the library", |alert| {
        (alert.rule() == "Preload").then(|| alert.clone())
    })?;
    assert_eq!(
        alert.text("process.env_vars"),
        r#"["HISTFILE=/dev/null","LD_PRELOAD=/nowhere.so"]"#
    );
    assert_eq!(alert.text("tidewaiter.process.environment_complete"), "true");
    assert!(!format!("{alert:?}").contains("not-to-be-told"));
    assert_eq!(exec_of(&recorder, "variables")?.get("process.env_vars"), None);
    Ok(())
}

fn program(home: &Home) -> Result<PathBuf> {
    let program = home.path().join(ORDINARY[0]);
    place_stand_in(&program)?;
    Ok(program)
}

fn exec_of(sensor: &Sensor, last_argument: &str) -> Result<Document> {
    sensor.wait_for(&format!("exec with `{last_argument}`"), |event| {
        let last = event
            .get("process.args")
            .and_then(|args| args.as_array()?.last()?.as_str());
        let is_exec = event.text("event.action") == "exec" && event.text("process.name") == ORDINARY[0];
        (is_exec && last == Some(last_argument)).then(|| event.clone())
    })
}
