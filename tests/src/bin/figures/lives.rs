//! `xtask bench lives`: what the stock rules say of ordinary lives, by severity: of what was recorded, and of what steady
//! services do for some minutes. Recorded anew if that is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use tests::document::Document;
use tests::engine::Engine;
use tests::lives::{self, Containers, Life, image, recording};
use tests::sensor::Home;

/// How often steady services are asked whether they live, and all else is done that they do again and again.
const ROUND: Duration = Duration::from_secs(30);
/// As often the recorded ones do all of it anew, their starts too, for a day.
const RECORDED_ROUND: SignedDuration = SignedDuration::from_mins(10);
const RECORDED_ROUNDS: u32 = 24 * 6;

const RULE: &str = "kibana.alert.rule.name";
const SEVERITY: &str = "kibana.alert.severity";

/// Lives all of it and keeps what the sensor saw.
pub(super) fn record() -> Result<()> {
    let (home, engine) = begin()?;
    let containers = Containers::listen(&engine)?;
    let sensor = home.events()?;
    let lives = lives::all()?;
    lives::live(&lives, &engine, 1)?;
    let mark = "the last of all lives";
    engine.container("last")?;
    engine.exec(&engine.container("end")?, &["/bin/sh", "-c", ":", mark])?;
    let is_last = |line: &str| line.contains(mark).then_some(());
    sensor.output.wait_for("last event", is_last)?;
    let count = recording::write(&sensor.output.so_far(), &containers.lives()?, &home.engine())?;
    println!("{count} events of {} lives are recorded", lives.len());
    measure()
}

/// An engine that has the image.
fn begin() -> Result<(Home, Engine)> {
    let root = image::root()?;
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    image::load(&engine, &root)?;
    Ok((home, engine))
}

/// Prints the alerts on the recording, and of steady services those of a day.
pub(super) fn measure() -> Result<()> {
    let recording = recording::read()?;
    let alerts = recording.replay()?;
    let (events, all) = (recording.text.lines().count(), lives::all()?);
    println!(
        "{events} events of {} lives, recorded once: {}",
        all.len(),
        by(SEVERITY, &alerts)
    );
    print!("{:#}", by(RULE, &alerts));
    let steady: Vec<&str> = all
        .iter()
        .filter(|life| life.is_steady)
        .map(|life| life.name.as_str())
        .collect();
    let day = recording.repeated(&steady, RECORDED_ROUNDS, RECORDED_ROUND)?;
    let alerts = day.replay()?;
    let begun = first_time(&day.text)?;
    println!(
        "{} events of the {} steady ones, all of it again every {RECORDED_ROUND:#} for a day",
        day.text.lines().count(),
        steady.len()
    );
    print_parts(
        &alerts,
        begun,
        Duration::from_secs(600),
        Duration::from_secs(24 * 3_600),
    )
}

/// Lives what is steady for so many minutes, and prints the alerts.
pub(super) fn live(minutes: u64) -> Result<()> {
    let (home, engine) = begin()?;
    let steady: Vec<Life> = lives::all()?.into_iter().filter(|life| life.is_steady).collect();
    let sensor = home.run()?;
    let (begun, clock) = (Timestamp::now(), Instant::now());
    lives::live(&steady, &engine, 1)?;
    let first = clock.elapsed();
    let mut rounds = 1;
    while clock.elapsed() < Duration::from_secs(minutes * 60) {
        let round = Instant::now();
        rounds += 1;
        lives::live(&steady, &engine, rounds)?;
        thread::sleep(ROUND.saturating_sub(round.elapsed()));
    }
    let whole = clock.elapsed();
    println!(
        "{} steady lives in real containers for {:.1} minutes, {rounds} rounds, no learning",
        steady.len(),
        whole.as_secs_f64() / 60.0
    );
    let mut alerts = sensor.alerts_at_end()?;
    alerts.retain(|alert| alert.get("tidewaiter.held_back").is_none());
    print_parts(&alerts, begun, first, whole)
}

/// Prints what was told until the services ran and had been asked once, and what after that, by the hour.
fn print_parts(alerts: &[Document], begun: Timestamp, first: Duration, whole: Duration) -> Result<()> {
    let first_end = begun + SignedDuration::try_from(first)?;
    let (mut of_first, mut later) = (Vec::new(), Vec::new());
    for alert in alerts {
        let is_first = alert.text("@timestamp").parse::<Timestamp>()? < first_end;
        if is_first { &mut of_first } else { &mut later }.push(alert.clone());
    }
    println!(
        "  in the first {:.1} minutes: {}",
        first.as_secs_f64() / 60.0,
        by(SEVERITY, &of_first)
    );
    print!("{:#}", by(RULE, &of_first));
    let hours = (whole - first).as_secs_f64() / 3_600.0;
    println!("  in the {:.1} minutes after: {}", hours * 60.0, by(SEVERITY, &later));
    print!("{:#}", by(RULE, &later));
    let scaled = |severity: &str| {
        let count = |alerts: &[Document]| alerts.iter().filter(|alert| alert.text(SEVERITY) == severity).count() as f64;
        let hour = count(&later) / hours;
        println!(
            "  {severity:8} {hour:6.2} an hour, {:6.1} on the first day",
            count(&of_first) + 24.0 * hour
        );
    };
    println!("  scaled to an hour and a day:");
    ["high", "medium", "low"].into_iter().for_each(scaled);
    Ok(())
}

fn first_time(lines: &str) -> Result<Timestamp> {
    let times = lines
        .lines()
        .take(10_000)
        .map(|line| Ok(Document::parse(line)?.text("@timestamp").parse()?));
    let times: Vec<Timestamp> = times.collect::<Result<_>>()?;
    times.into_iter().min().context("nothing is recorded")
}

/// Alerts by what a field of theirs says.
struct By(BTreeMap<String, usize>);

fn by(field: &str, alerts: &[Document]) -> By {
    let mut counts = BTreeMap::new();
    for alert in alerts {
        *counts.entry(alert.text(field)).or_default() += 1;
    }
    By(counts)
}

/// In one line, or with `#` a line each.
impl fmt::Display for By {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if formatter.alternate() {
            return self
                .0
                .iter()
                .try_for_each(|(what, count)| writeln!(formatter, "{count:8} {what}"));
        }
        write!(formatter, "{} alerts", self.0.values().sum::<usize>())?;
        self.0
            .iter()
            .try_for_each(|(what, count)| write!(formatter, ", {count} {what}"))
    }
}
