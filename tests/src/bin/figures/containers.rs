//! What short-lived containers are known by when their first program starts, what that costs and how long it takes; and
//! the memory that many take which live on.
//!
//! One rule needs only the container's id, the other its image's name. So of each container there is an alert that
//! went out at once, perhaps an amendment of it, and an alert that waited for the engine.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use tests::containerd::Containerd;
use tests::cri::{ContainerDescription, PodDescription};
use tests::document::Document;
use tests::engine::Engine;
use tests::lines::Line;
use tests::program::run;
use tests::sensor::{Home, Sensor};

use crate::observed::resident_mib;

const CONTAINERS: usize = 1000;
const AT_ONCE: usize = 4;
/// Containers that live on, and the processes of each.
const LIVING: usize = 500;
const PROCESSES: usize = 10;

const IMMEDIATE: &str = "Needs the id";
const DEFERRED: &str = "Needs the image";

pub(crate) fn measure() -> Result<()> {
    living()?;
    let home = home()?;
    {
        let engine = Engine::start(&home)?;
        let start_all = || start_at_once(CONTAINERS, || engine.run_detached(&[], &["/usr/bin/ordinary"]));
        let without = report("Docker", &home, start_all)?;
        let with = resident_mib(&home.run()?)?;
        println!("  memory at the start with {CONTAINERS} containers: {with:.1} MiB, without any: {without:.1} MiB");
        // There are too many for one command line.
        let ids = String::from_utf8(run(&mut engine.docker(&["ps", "--all", "--quiet"]))?.stdout)?;
        for some in ids.split_whitespace().collect::<Vec<_>>().chunks(100) {
            run(engine.docker(&["rm", "--force"]).args(some))?;
        }
    }
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let pod = kubelet.run_pod(PodDescription::on_cgroupfs(
        "web",
        "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab",
    ))?;
    let start_all = || {
        for number in 0..CONTAINERS {
            let container = ContainerDescription {
                name: &format!("short-{number}"),
                command: &["/usr/bin/ordinary"],
                ..ContainerDescription::default()
            };
            kubelet.run(&pod, &container)?;
        }
        Ok(())
    };
    report("containerd, in a pod", &home, start_all)?;
    Ok(())
}

/// Starts so many, some of them at once.
fn start_at_once(count: usize, start: impl Fn() -> Result<String> + Sync) -> Result<()> {
    let start_some = || -> Result<()> {
        for _ in 0..count / AT_ONCE {
            start()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let starters: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(start_some)).collect();
        let mut ended = starters.into_iter().map(|starter| starter.join());
        ended.try_for_each(|result| result.unwrap_or_else(|_| Err(anyhow!("a starter panicked"))))
    })
}

/// The memory that is resident with many containers that live on, with the stock rules.
fn living() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let sensor = home.run()?;
    let before = resident_mib(&sensor)?;
    let others = PROCESSES - 1;
    let program = format!("i=0; while [ $i -lt {others} ]; do sleep infinity & i=$((i + 1)); done; wait");
    start_at_once(LIVING, || engine.run_detached(&[], &["/bin/sh", "-c", &program]))?;
    let seen = resident_mib(&sensor)?;
    sensor.stop()?;
    let found = resident_mib(&home.run()?)?;
    println!(
        "{LIVING} containers of {PROCESSES} processes that live on: {before:.1} MiB before, {seen:.1} MiB when all have \
         started, {found:.1} MiB where they run before the sensor"
    );
    Ok(())
}

fn home() -> Result<Home> {
    let home = Home::new()?;
    for (name, id, condition) in [
        (IMMEDIATE, "1", "container.id != null"),
        (DEFERRED, "2", r#"container.image.name : "*/end-to-end""#),
    ] {
        let rule = format!(
            "[rule]\nname = {name:?}\ndescription = \"Measures.\"\nrule_id = \"0c2a4f4e-9a53-4d3f-8e0d-43f0e5c1b9a{id}\"\n\
             risk_score = 1\nseverity = \"low\"\ntype = \"eql\"\nlanguage = \"eql\"\nmax_signals = 1000000\n\
             query = 'process where event.action == \"exec\" and process.name == \"ordinary\" and {condition}'\n"
        );
        fs::write(home.rules().join(format!("{id}.toml")), rule)?;
    }
    Ok(home)
}

/// What is known of one container's first program.
#[derive(Default)]
struct Known {
    /// The state of the metadata in the alert that did not wait, and how long after the exec it was there.
    immediate: Option<(String, Duration)>,
    /// Whether that alert had the image's name.
    is_named: bool,
    is_amended: bool,
    deferred: Option<(String, Duration)>,
}

impl Known {
    fn is_whole(&self) -> bool {
        let is_complete = |alert: &(String, Duration)| alert.0 == "complete";
        self.deferred.is_some()
            && self
                .immediate
                .as_ref()
                .is_some_and(|alert| is_complete(alert) || self.is_amended)
    }
}

/// Prints the figures of containers that `start_all` starts; gives the sensor's memory, in MiB, before that.
fn report(engine: &str, home: &Home, start_all: impl FnOnce() -> Result<()>) -> Result<f64> {
    let sensor = home.run()?;
    let before = resident_mib(&sensor)?;
    start_all()?;
    let known = collect(&sensor)?;
    let after = resident_mib(&sensor)?;

    let count = |holds: &dyn Fn(&Known) -> bool| known.values().filter(|known| holds(known)).count();
    let state_is =
        |alert: &Option<(String, Duration)>, state: &str| alert.as_ref().is_some_and(|alert| alert.0 == state);
    println!("{engine}: {} containers, each a program that ends at once", known.len());
    println!(
        "  at the first exec: {} named, with their image, without waiting; complete: {} without waiting, {} where a rule \
         waits for it",
        count(&|known| known.is_named),
        count(&|known| state_is(&known.immediate, "complete")),
        count(&|known| state_is(&known.deferred, "complete")),
    );
    println!(
        "  went out without all metadata: {}, of them amended: {}",
        count(&|known| !state_is(&known.immediate, "complete")),
        count(&|known| known.is_amended),
    );
    println!(
        "  from exec to alert: {} if the id is enough, {} if the image is needed",
        summary(known.values().filter_map(|known| known.immediate.as_ref())),
        summary(known.values().filter_map(|known| known.deferred.as_ref())),
    );
    println!("  memory: {before:.1} MiB before, {after:.1} MiB after, with what is known of their processes");
    let diagnostics = sensor.diagnostics.clone();
    sensor.stop()?;
    for line in diagnostics
        .wait_for_end()?
        .iter()
        .filter(|line| line.contains("questions"))
    {
        println!("  the sensor: {line}");
    }
    Ok(before)
}

/// Waits until all is known of all containers.
fn collect(sensor: &Sensor) -> Result<HashMap<String, Known>> {
    let mut known: HashMap<String, Known> = HashMap::new();
    let mut whole = 0;
    let waited = sensor.output.wait_for_line("alerts of all containers", |line| {
        let alert = Document::parse(&line.text).ok()?;
        let container = known.entry(alert.text("container.id")).or_default();
        let was_whole = container.is_whole();
        let state = || Some((alert.text("tidewaiter.container.metadata"), delay(line, &alert)?));
        match alert.rule().as_str() {
            _ if alert.is_amendment() => container.is_amended = true,
            IMMEDIATE => {
                container.immediate = state();
                container.is_named = !alert.text("container.image.name").is_empty();
            }
            DEFERRED => container.deferred = state(),
            _ => return None,
        }
        whole += usize::from(!was_whole && container.is_whole());
        (whole == CONTAINERS).then_some(())
    });
    if let Err(error) = waited {
        // What is missing is what the figures are about.
        eprintln!(
            "{} of {CONTAINERS} containers are known wholly: {}",
            whole,
            first_line(&error)
        );
    }
    known.retain(|_, known| known.immediate.is_some());
    Ok(known)
}

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// From the exec, which is the time of its event, to the alert's line.
fn delay(line: &Line, alert: &Document) -> Option<Duration> {
    let exec: jiff::Timestamp = alert.text("@timestamp").parse().ok()?;
    line.arrived.duration_since(SystemTime::from(exec)).ok()
}

fn summary<'a>(alerts: impl Iterator<Item = &'a (String, Duration)>) -> String {
    let mut delays: Vec<Duration> = alerts.map(|(_, delay)| *delay).collect();
    delays.sort();
    let at = |per_mille: usize| {
        let position = delays.len().saturating_sub(1) * per_mille / 1000;
        delays.get(position).copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    format!(
        "median {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        at(500),
        at(990),
        at(1000)
    )
}
