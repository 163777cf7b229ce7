//! The rules that ours answer to, where they are at hand: they fire on the same events.

use std::collections::BTreeSet;
use std::iter;

use anyhow::Result;
use tests::engine::Engine;
use tests::sensor::{Home, Sensor};

use crate::{INSTALLATION, NEW_PROCESS};

/// The identifiers of the rules that [`INSTALLATION`] and [`NEW_PROCESS`] answer to.
const REFERENCE_INSTALLATION: &str = "527d23e6-8b67-4a8e-a6bd-5169b90ab2a8";
const REFERENCE_NEW_PROCESS: &str = "7020ff25-76d7-4a7d-b95b-266cf27d70e8";

#[test]
fn the_reference_rules_fire_on_the_same_events_as_ours() -> Result<()> {
    let Some(reference_rules) = tests::reference_rules() else {
        tests::skipped(
            "the_reference_rules_fire_on_the_same_events_as_ours",
            "the reference rules are not here",
        );
        return Ok(());
    };
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let mut command = home.command("run")?;
    command
        .args(["--format", "json", "--rules"])
        .arg(home.rules())
        .arg("--rules")
        .arg(reference_rules);
    let sensor = Sensor::start(&mut command)?;

    let mut shell = engine.shell(&container)?;
    for typed in [
        "apt-get install -y curl",
        "apt-get update",
        "apk add wget",
        "dnf install socat",
        "ordinary",
    ] {
        shell.type_command(typed)?;
    }
    shell.leave()?;
    engine.exec(&container, &["/bin/sh", "-c", "zypper install curl; :"])?;

    sensor.fence(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    let alerts = sensor.alerts_at_end()?;
    let events_of = |rule: &str| -> BTreeSet<(String, String)> {
        let of_rule = alerts
            .iter()
            .filter(|alert| [alert.rule(), alert.text("kibana.alert.rule.rule_id")].contains(&rule.to_owned()));
        // Of a session our alert is one, which has grown.
        let events =
            of_rule.flat_map(|alert| iter::once(alert.clone()).chain(alert.list("tidewaiter.suppressed_events")));
        events
            .map(|event| (event.text("process.entity_id"), event.text("process.command_line")))
            .collect()
    };
    for (ours, reference, events) in [
        (INSTALLATION, REFERENCE_INSTALLATION, 3),
        (NEW_PROCESS, REFERENCE_NEW_PROCESS, 5),
    ] {
        assert_eq!(events_of(ours), events_of(reference), "{ours}");
        assert_eq!(events_of(ours).len(), events, "{ours}");
    }
    Ok(())
}
