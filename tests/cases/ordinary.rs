//! Ordinary lives of containers, as they were recorded: the stock rules say of each what is written beside it, no more and
//! no less.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use tests::document::Document;
use tests::lives::{self, recording};

#[test]
fn the_recording_of_ordinary_lives_raises_what_is_written_beside_them() -> Result<()> {
    let recording = recording::read()?;
    let told = lives::told(recording.replay()?, &recording.lives)?;
    let none = BTreeMap::new();
    let mut wrong = Vec::new();
    for life in lives::all()? {
        if !recording.lives.values().any(|name| *name == life.name) {
            wrong.push(format!("{}: it is not in the recording", life.name));
        }
        let rules = told.get(&life.name).unwrap_or(&none);
        let names: BTreeSet<&String> = rules.keys().chain(life.may_raise.keys()).collect();
        for rule in names {
            let expected = life.may_raise.get(rule).copied().unwrap_or(0);
            let alerts = rules.get(rule).map_or(&[][..], Vec::as_slice);
            if alerts.len() != expected {
                let commands: BTreeSet<String> = alerts.iter().map(command).collect();
                wrong.push(format!(
                    "{}: {rule}: {} instead of {expected}: {commands:?}",
                    life.name,
                    alerts.len()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn command(alert: &Document) -> String {
    alert.text("process.command_line")
}
