//! What has to be true of the sensor's output when root sets the clock and locks the kernel down (`guest/sabotage.sh`).

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::checks::{Evidence, NamedCheck};

/// In the order of the table.
pub(crate) const SABOTAGES: [NamedCheck; 6] = [
    ("events stay in order when the clock is set", order),
    ("the history keeps what it knows then", history),
    ("sequences span what passed, not what was set", sequences),
    ("heartbeats go on, by the new clock", heartbeats),
    ("that the clock was set is told", clock),
    ("lockdown stops no sensor that runs, and is told by the next", lockdown),
];

/// Days by which the clock is set, one after the other.
const STEPS: [&str; 2] = ["2", "-4"];
/// In seconds.
const DAY: f64 = 86_400.0;
/// Of the 300 looks of a minute.
const LOOKS_AT_MOST: u64 = 299;

fn order(evidence: &Evidence) -> Result<()> {
    let execs = evidence
        .events
        .iter()
        .filter(|event| event["event"]["action"] == "exec");
    let words = execs.filter_map(|event| match event["process"]["args"].as_array()?.as_slice() {
        [_, word, days] if word == "begin" || word == "end" => Some(format!("{} {}", word.as_str()?, days.as_str()?)),
        _ => None,
    });
    let expected = STEPS
        .map(|days| [format!("begin {days}"), format!("end {days}")])
        .concat();
    let words: Vec<String> = words.collect();
    ensure!(words == expected, "{words:?}");
    Ok(())
}

fn history(evidence: &Evidence) -> Result<()> {
    let terms: Vec<&str> = alerts(evidence, "Term")
        .filter_map(|alert| alert["process"]["args"][2].as_str())
        .collect();
    ensure!(
        terms == ["known", "new-2", "new--4", "under-integrity", "under-confidentiality"],
        "alerts on {terms:?}"
    );
    Ok(())
}

fn sequences(evidence: &Evidence) -> Result<()> {
    let ends: Vec<&Value> = alerts(evidence, "Sequence")
        .map(|alert| &alert["process"]["args"][2])
        .collect();
    ensure!(ends == STEPS, "alerts on {ends:?}");
    Ok(())
}

fn heartbeats(evidence: &Evidence) -> Result<()> {
    let times = notices(evidence, "heartbeat").map(|beat| -> Result<Timestamp> {
        let time = beat["@timestamp"].as_str().context("no time")?;
        time.parse().with_context(|| format!("`{time}` is no time"))
    });
    let times: Vec<Timestamp> = times.collect::<Result<_>>()?;
    let first = *times.first().context("no heartbeat")?;
    // The machine runs for less than half a day.
    let mut days: Vec<f64> = times
        .iter()
        .map(|time| (time.duration_since(first).as_secs_f64() / DAY).round())
        .collect();
    days.dedup();
    ensure!(days == [0.0, 2.0, -2.0, 0.0], "heartbeats on the days {days:?}");
    Ok(())
}

fn clock(evidence: &Evidence) -> Result<()> {
    let told: Vec<&Value> = notices(evidence, "clock-set")
        .map(|notice| &notice["event"]["reason"])
        .collect();
    ensure!(told == ["forward", "back", "forward"], "told: {told:?}");
    Ok(())
}

/// Programs that are loaded already may go on reading the kernel's memory; those of the next start may not, which has to
/// say so.
fn lockdown(evidence: &Evidence) -> Result<()> {
    for word in ["under-integrity", "under-confidentiality"] {
        ensure!(
            waited(evidence, word)? <= LOOKS_AT_MOST,
            "what was done `{word}` is not seen"
        );
    }
    let blind = notices(evidence, "hook-blind").count();
    ensure!(blind == 0, "{blind} times a hook was blind");
    let status = evidence.text("locked.status")?;
    let said = evidence.text("locked.stderr")?;
    ensure!(
        status.trim() == "3",
        "the next start ended with {}: {said}",
        status.trim()
    );
    for word in ["locked down to confidentiality", "lockdown=integrity"] {
        ensure!(
            said.contains(word),
            "`{word}` is not in what the next start said: {said}"
        );
    }
    Ok(())
}

fn alerts<'a>(evidence: &'a Evidence, rule: &'a str) -> impl Iterator<Item = &'a Value> {
    let alerts = evidence.alerts.iter();
    alerts.filter(move |alert| alert["kibana.alert.rule.name"] == rule)
}

fn notices<'a>(evidence: &'a Evidence, action: &'a str) -> impl Iterator<Item = &'a Value> {
    let documents = evidence
        .alerts
        .iter()
        .filter(|document| document["kibana.alert.rule.name"].is_null());
    documents.filter(move |document| document["event"]["action"] == action)
}

/// How often the scenario looked until it found the text.
fn waited(evidence: &Evidence, text: &str) -> Result<u64> {
    let waits = evidence.text("waits")?;
    let line = waits.lines().find_map(|line| line.strip_prefix(text));
    let count = line.with_context(|| format!("the scenario did not wait for `{text}`"))?;
    Ok(count.trim().parse()?)
}
