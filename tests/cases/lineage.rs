//! Who descends from whom, and how each ended.

use std::process::Command;

use anyhow::Result;
use tests::document::Document;
use tests::program::compile_static;
use tests::sensor::{Home, Sensor};

#[test]
fn a_process_ends_with_its_last_thread_and_not_with_its_first() -> Result<()> {
    let home = Home::new()?;
    let program = compile_static("leader_first")?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let status = Command::new(&program).arg("leader-first").status()?;
    assert_eq!(status.code(), Some(7));
    let end = end_of(&sensor, "leader-first")?;
    assert_eq!(end.text("process.exit_code"), "7");
    assert_eq!(end.get("tidewaiter.process.signal"), None);

    Command::new("bash")
        .args(["-c", "kill -TERM $$", "signalled"])
        .status()?;
    let end = end_of(&sensor, "signalled")?;
    assert_eq!(end.text("process.exit_code"), "143");
    assert_eq!(end.text("tidewaiter.process.signal"), "15");

    // After it: what was awaited above came once.
    let ends = sensor.output.so_far();
    let ends = ends.iter().filter_map(|line| Document::parse(line).ok());
    let of_first = ends.filter(|event| is_end_of(event, "leader-first"));
    assert_eq!(of_first.count(), 1);
    Ok(())
}

#[test]
fn a_daemon_leads_its_own_session_and_knows_its_ancestors() -> Result<()> {
    let home = Home::new()?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    // The shell between the two ends first, so that the daemon has another parent by then.
    let script = "setsid --fork bash -c 'while kill -0 $0 2>/dev/null; do :; done; exec bash -c : daemon' $$";
    Command::new("bash").args(["-c", script]).status()?;
    let end = end_of(&sensor, "daemon")?;
    assert_eq!(end.text("process.session_leader.pid"), end.text("process.pid"));
    assert_eq!(end.text("process.session_leader.same_as_process"), "true");
    let ancestors = end
        .get("process.Ext.ancestry")
        .and_then(|ids| ids.as_array().map(Vec::len));
    assert!(ancestors >= Some(1), "{end:?}");
    Ok(())
}

fn end_of(sensor: &Sensor, last_argument: &str) -> Result<Document> {
    sensor.wait_for(&format!("end of `{last_argument}`"), |event| {
        is_end_of(event, last_argument).then(|| event.clone())
    })
}

fn is_end_of(event: &Document, last_argument: &str) -> bool {
    let last = event
        .get("process.args")
        .and_then(|args| args.as_array()?.last()?.as_str());
    event.text("event.action") == "end" && last == Some(last_argument)
}
