//! Containers of every engine: known from their first event on, by id from the kernel and by name from the engine.

mod containerd;
mod docker;
mod membership;
mod nested;
mod podman;

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use tests::document::Document;
use tests::lines::PATIENCE;
use tests::sensor::{Home, Sensor};

/// What is reported of every container that a test looks at.
const ALWAYS_REPORTED: [&str; 4] = [
    "container.id",
    "container.name",
    "container.image.name",
    "tidewaiter.container.metadata",
];

/// A rule that reads what only an engine reports, so that it waits for it; alerts on the image's program `ordinary`.
const RULE_ON_METADATA: &str = r#"
[rule]
name = "Ordinary program"
description = "A program of the test image, by the image's name."
rule_id = "0c2a4f4e-9a53-4d3f-8e0d-43f0e5c1b9a4"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
max_signals = 1000000
query = 'process where event.action == "exec" and process.name == "ordinary" and container.image.name : "*/end-to-end"'
"#;

/// A home with [`RULE_ON_METADATA`].
fn home_with_rule_on_metadata() -> Result<Home> {
    let home = Home::new()?;
    fs::write(home.rules().join("metadata.toml"), RULE_ON_METADATA)?;
    Ok(home)
}

/// Waits for the start of a program in a container of which all is known, or the first one if that is not asked for.
fn exec_of(recorder: &Sensor, container_id: &str, program: &str) -> Result<Document> {
    recorder.wait_for("start of a program in a container", |event| {
        let is_it = event.text("event.action") == "exec"
            && event.text("container.id") == container_id
            && event.text("process.executable") == program;
        is_it.then(|| event.clone())
    })
}

/// Runs the program `ordinary` in a container, again and again with another argument, until its event is as expected.
/// For what an engine reports in its own time.
fn until_an_event(
    recorder: &Sensor,
    run: impl Fn(&[&str]) -> Result<()>,
    is_as_expected: impl Fn(&Document) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    for number in 0.. {
        let argument = format!("try-{number}");
        run(&["/usr/bin/ordinary", &argument])?;
        let event = recorder.wait_for("start of the program", |event| {
            let is_it = event.text("event.action") == "exec"
                && event.text("process.executable") == "/usr/bin/ordinary"
                && event.text("process.args").contains(&format!("{argument:?}"));
            is_it.then(|| event.clone())
        })?;
        if is_as_expected(&event) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "no event was as expected, the last one is {event}"
        );
    }
    Ok(())
}

/// Some fields of an event, one a line.
fn fields(event: &Document, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| format!("{name}: {}", event.text(name)))
        .collect()
}
