//! One container storms a rule, or makes up what rules remember by; the others' alerts come all the same.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::document::Document;
use tests::engine::Engine;
use tests::image::{FENCE, place_stand_in};
use tests::intruder::thread_of;
use tests::program::{run, tidewaiter};
use tests::sensor::{Home, Sensor};

const STORMED: &str = "Stormed";
const STORMED_RULE: &str = r#"
[rule]
name = "Stormed"
description = "An ordinary program ran in a container."
rule_id = "stormed"
risk_score = 21
severity = "low"
type = "eql"
query = 'process where event.action == "exec" and process.name == "ordinary" and container.id != null'
max_signals = 3
interval = "5s"
"#;

#[test]
fn a_container_that_storms_a_rule_silences_it_for_no_other() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.rules().join("stormed.toml"), STORMED_RULE)?;
    let engine = Engine::start(&home)?;
    let (attacker, victim) = (engine.container("attacker")?, engine.container("victim")?);
    let sensor = home.run()?;

    let storm = "i=0; while [ $i -lt 40 ]; do ordinary; i=$((i+1)); done";
    engine.exec(&attacker, &["/bin/sh", "-c", storm])?;
    engine.exec(&victim, &["/bin/sh", "-c", "ordinary"])?;

    let of = |container: &str, alert: &Document| alert.rule() == STORMED && alert.text("container.id") == container;
    sensor.wait_for("the victim's alert", |alert| {
        (of(&victim.id, alert) && alert.text("process.name") == "ordinary").then_some(())
    })?;
    let at_once = sensor.wait_for("that alerts of the attacker are held back", |alert| {
        let is_told = of(&attacker.id, alert) && alert.get("tidewaiter.held_back").is_some();
        is_told.then(|| alert.clone())
    })?;
    let held_back = at_once
        .get("tidewaiter.held_back")
        .context("what was held back")?
        .clone();
    assert_eq!(
        (&held_back["alerts"], &held_back["complete"]),
        (&json!(1), &json!(false))
    );
    assert!(held_back["since"].is_string(), "{at_once}");
    // Nothing else has to happen for the rest to be told.
    let all = sensor.wait_for("how many were held back", |alert| {
        let told = alert.get("tidewaiter.held_back").filter(|_| of(&attacker.id, alert))?;
        (told["complete"] == json!(true)).then(|| told["alerts"].as_u64())
    })?;
    let alerts = sensor.alerts_so_far();
    let raised = alerts
        .iter()
        .filter(|alert| of(&attacker.id, alert) && alert.get("tidewaiter.held_back").is_none());
    assert!(raised.count() >= 3 && all >= Some(1));
    Ok(())
}

/// Rules over recorded events.
struct Replay {
    home: Home,
    rules: PathBuf,
}

impl Replay {
    fn new(rule: &str) -> Result<Replay> {
        let home = Home::new()?;
        let rules = home.path().join("replayed.toml");
        let head =
            "[rule]\nname = \"One\"\ndescription = \"d\"\nrule_id = \"one\"\nrisk_score = 1\nseverity = \"low\"\n";
        fs::write(&rules, format!("{head}{rule}"))?;
        Ok(Replay { home, rules })
    }

    /// The alerts.
    fn run(&self, events: &[Value]) -> Result<Vec<Document>> {
        let recording = self.home.path().join("events.ndjson");
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        fs::write(&recording, lines.join("\n"))?;
        let mut command = self.home.command("replay")?;
        // As they come, for times that jump.
        command
            .args(["--late", "0s", "--rules"])
            .arg(&self.rules)
            .arg(&recording);
        let Output { status, stdout, stderr } = command.output()?;
        ensure!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout)?.lines().map(Document::parse).collect()
    }
}

/// An exec in a container within `outermost`, so many seconds after the first of them.
fn exec(second: i64, name: &str, user: &str, container: &str, outermost: &str) -> Value {
    json!({
        "@timestamp": 1_790_000_000_000_i64 + second * 1_000,
        "event": {"category": "process", "action": "exec"},
        "process": {"name": name, "pid": second},
        "user": {"id": user},
        "container": {"id": container},
        "tidewaiter": {"container": {"nested_in": outermost}},
    })
}

const SEQUENCE: &str = "type = \"eql\"\nquery = '''sequence by user.id with maxspan=1h \
    [process where process.name == \"a\"] [process where process.name == \"b\"]'''\n";

#[test]
fn sixty_thousand_made_up_containers_push_out_nobodys_state() -> Result<()> {
    let replay = Replay::new(SEQUENCE)?;
    let mut events = vec![exec(0, "a", "0", "victim", "victim")];
    // The same key first, and then as many as there can be, each from a container of its own within the attacker's.
    events.push(exec(1, "a", "0", "made-up", "attacker"));
    events
        .extend((0..60_000).map(|number| exec(2, "a", &format!("{number}"), &format!("made-up-{number}"), "attacker")));
    events.extend([
        exec(3, "a", "0", "victim", "victim"),
        exec(4, "a", "0", "made-up", "attacker"),
    ]);
    events.extend((0..4_000).map(|number| exec(5, "a", &format!("more-{number}"), "made-up", "attacker")));
    events.push(exec(6, "b", "0", "victim", "victim"));
    let alerts = replay.run(&events)?;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0].text("container.id"), "victim");
    Ok(())
}

const THRESHOLD: &str = "type = \"threshold\"\nquery = 'process.name:a'\nfrom = \"now-1m\"\n\
    [rule.threshold]\nfield = [\"user.id\"]\nvalue = 3\n";

#[test]
fn an_event_years_ahead_neither_raises_an_alert_nor_prevents_one() -> Result<()> {
    const YEAR: i64 = 365 * 86_400;
    let shown = |rule: &str, events: &[(i64, &str)]| -> Result<Vec<i64>> {
        let events: Vec<Value> = events
            .iter()
            .map(|(second, name)| exec(*second, name, "0", "one", "one"))
            .collect();
        let alerts = Replay::new(rule)?.run(&events)?;
        let second = |alert: &Document| alert.text("process.pid").parse();
        Ok(alerts.iter().map(second).collect::<Result<_, _>>()?)
    };
    let one_a_minute = [(0, "a"), (YEAR, "a"), (61, "a"), (122, "a"), (183, "a")];
    assert_eq!(shown(THRESHOLD, &one_a_minute)?, [0_i64; 0]);
    let at_once = [(0, "a"), (YEAR, "a"), (61, "a"), (122, "a"), (123, "a"), (124, "a")];
    assert_eq!(shown(THRESHOLD, &at_once)?, [124]);
    // Time that really goes on, also for ever.
    let later = [(0, "a"), (1, "a"), (YEAR, "a"), (YEAR + 1, "a"), (YEAR + 2, "a")];
    assert_eq!(shown(THRESHOLD, &later)?, [YEAR + 2]);
    assert_eq!(shown(SEQUENCE, &[(0, "a"), (YEAR, "a"), (1, "b")])?, [1]);
    let missing = "type = \"eql\"\nquery = '''sequence with maxspan=1m [process where process.name == \"a\"] \
        ![process where process.name == \"b\"]'''\n";
    assert_eq!(shown(missing, &[(0, "a"), (YEAR, "c"), (1, "b")])?, [0_i64; 0]);
    Ok(())
}

/// The threads that an alert passes.
const ON_THE_WAY: [&str; 3] = ["events", "alerts", "output"];

#[test]
fn what_an_alert_passes_runs_before_what_containers_run() -> Result<()> {
    let home = Home::new()?;
    let sensor = home.run()?;
    for thread in ON_THE_WAY {
        assert_eq!(policy(&sensor, thread)?, libc::SCHED_RR, "{thread}");
    }
    // What is not on the way, or takes its time, has no part in it.
    for thread in ["tidewaiter", "history", "notices", "log"] {
        assert_eq!(policy(&sensor, thread)?, libc::SCHED_OTHER, "{thread}");
    }
    assert!(sensor.stop()?.success());
    Ok(())
}

#[test]
fn without_the_right_to_run_first_alerts_come_and_it_says_so() -> Result<()> {
    let home = Home::new()?;
    let mut command = Command::new("setpriv");
    command
        .args([
            "--bounding-set",
            "-sys_nice",
            "--inh-caps",
            "-sys_nice",
            "prlimit",
            "--rtprio=0",
        ])
        .arg(tidewaiter()?)
        .args(["run", "--format", "json", "--config"])
        .arg(home.config());
    let sensor = Sensor::start(&mut command)?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    sensor.fence(|number| run(Command::new(&fence).arg(number)).map(drop))?;
    for thread in ON_THE_WAY {
        assert_eq!(policy(&sensor, thread)?, libc::SCHED_OTHER, "{thread}");
        let told = format!("the thread `{thread}` has no precedence");
        sensor.diagnostics.wait_for(&told, |line| {
            (line.contains(&told) && line.contains("CAP_SYS_NICE")).then_some(())
        })?;
    }
    Ok(())
}

/// The scheduling class of a thread of the sensor.
fn policy(sensor: &Sensor, thread: &str) -> Result<i32> {
    let number = thread_of(sensor.process_id(), thread)?;
    // SAFETY: a number; a thread that is gone is an error.
    let policy = unsafe { libc::sched_getscheduler(number) };
    ensure!(policy >= 0, "{thread}: {}", std::io::Error::last_os_error());
    Ok(policy & !libc::SCHED_RESET_ON_FORK)
}
