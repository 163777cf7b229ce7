//! Recorded events through the real binary: in which order they are taken, and what a live pipe gives.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::document::Document;
use tests::program::tidewaiter;

const SEQUENCE: &str = "[rule]\nname = \"One\"\ndescription = \"d\"\nrule_id = \"one\"\nrisk_score = 1\nseverity = \"low\"\n\
    type = \"eql\"\nmax_signals = 100000\nquery = '''sequence by user.id with maxspan=1m \
    [process where process.name == \"a\"] [process where process.name == \"b\"]'''\n";

/// One second after the other `a` and `b` of 50 users.
fn event(second: i64) -> Value {
    json!({
        "@timestamp": 1_790_000_000_000_i64 + second * 1_000,
        "event": {"category": "process", "action": "exec"},
        "process": {"name": if second % 2 == 0 { "a" } else { "b" }, "pid": second},
        "user": {"id": (second / 2 % 50).to_string()},
    })
}

fn command(rules: &Path) -> Result<Command> {
    let mut command = Command::new(tidewaiter()?);
    command.arg("replay").arg("--rules").arg(rules);
    Ok(command)
}

/// The pids that alerts are about, and what is said.
fn replay(folder: &TempDir, events: &[Value], late: &str) -> Result<(Vec<i64>, String)> {
    let (rules, recording) = (folder.path().join("rule.toml"), folder.path().join("events.ndjson"));
    fs::write(&rules, SEQUENCE)?;
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    fs::write(&recording, lines.join("\n"))?;
    let Output { status, stdout, stderr } = command(&rules)?.args(["--late", late]).arg(&recording).output()?;
    let said = String::from_utf8(stderr)?;
    ensure!(status.success(), "{said}");
    let alerts = String::from_utf8(stdout)?;
    let pid = |line: &str| Ok(Document::parse(line)?.text("process.pid").parse()?);
    Ok((alerts.lines().map(pid).collect::<Result<_>>()?, said))
}

#[test]
fn documents_are_taken_in_the_order_of_their_time_and_what_is_too_late_for_it_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sorted: Vec<Value> = (0..2_000).map(event).collect();
    let (expected, said) = replay(&folder, &sorted, "1h")?;
    assert_eq!(expected.len(), 1_000);
    assert!(
        said.contains("2000 events, 1000 alerts") && !said.contains("late"),
        "{said}"
    );
    // Backwards in parts of 50 seconds.
    let disordered: Vec<Value> = sorted.chunks(50).flat_map(|part| part.iter().rev().cloned()).collect();
    let (found, said) = replay(&folder, &disordered, "1m")?;
    assert_eq!(found, expected);
    assert!(!said.contains("late"), "{said}");
    let (found, said) = replay(&folder, &disordered, "0s")?;
    assert!(found.len() < expected.len());
    assert!(
        said.contains("1960 documents came late and were taken as they came"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_pipe_that_stays_open_gives_its_alerts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rule.toml");
    fs::write(&rules, SEQUENCE)?;
    let mut child = command(&rules)?
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("the input is connected")?;
    let mut alerts = BufReader::new(child.stdout.take().context("the output is connected")?);
    // The alert of each pair comes while the pipe stays open, whatever the order within it, with half a line behind it.
    for second in [0, 2, 4] {
        let half = event(second + 2).to_string();
        write!(input, "{}\n{}\n{}", event(second + 1), event(second), &half[..9])?;
        let mut alert = String::new();
        alerts.read_line(&mut alert)?;
        assert_eq!(Document::parse(&alert)?.text("process.pid"), (second + 1).to_string());
        writeln!(input, "{}", &half[9..])?;
    }
    drop(input);
    ensure!(child.wait()?.success());
    Ok(())
}
