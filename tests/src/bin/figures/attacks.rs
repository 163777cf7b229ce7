//! What a container gains that works against the sensor at full speed: its peak memory, and what becomes meanwhile of the
//! alerts of another container and of its own.

use std::fs;
use std::process::{Child, Command, Stdio, id};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tests::attack::{ALERTS_ON_ARGUMENTS, ATTACKS, Attack, READS_ENVIRONMENT, Running, peak_mib};
use tests::engine::{Container, Engine};
use tests::image::FENCE;
use tests::program::{compile_static, run};
use tests::sensor::Home;

use crate::latency::{Since, latencies_of_seen, report};
use crate::sensor::stop;

/// Alerts of the other container, a second, and of the one that attacks.
const RATE: u64 = 20;
/// Processes of each attack at once, if there is only one; and if there are all, whose sum a machine has room for.
const ALONE: usize = usize::MAX;
const TOGETHER: usize = 8000;

const AT_REST: &str = "at-rest";
const ALL_TOGETHER: &str = "all-together";
const UNREAD: &str = "unread";

/// Each attack by itself, or `phase` alone, for so many minutes.
pub(crate) fn measure(minutes: f64, phase: Option<&str>) -> Result<()> {
    let all: Vec<&Attack> = ATTACKS.iter().collect();
    let phases: Vec<(&str, &[&Attack])> = [(AT_REST, [].as_slice())]
        .into_iter()
        .chain(all.iter().map(|attack| (attack.name, std::slice::from_ref(attack))))
        .chain([(ALL_TOGETHER, all.as_slice()), (UNREAD, all.as_slice())])
        .collect();
    let chosen = |(name, _): &&(&str, &[&Attack])| phase.is_none_or(|phase| phase == *name);
    if !phases.iter().any(|each| chosen(&each)) {
        let names: Vec<&str> = phases.iter().map(|(name, _)| *name).collect();
        bail!("no such attack; there are {}", names.join(", "));
    }
    let bench = Bench::new(Duration::from_secs_f64(60.0 * minutes))?;
    for (name, attacks) in phases.iter().filter(chosen) {
        match *name {
            UNREAD => bench.unread(attacks)?,
            name => bench.during(name, attacks)?,
        }
    }
    Ok(())
}

struct Bench {
    container: Container,
    engine: Engine,
    each: Duration,
    home: Home,
}

impl Bench {
    fn new(each: Duration) -> Result<Self> {
        let home = Home::new()?;
        fs::write(home.rules().join("environment.toml"), READS_ENVIRONMENT)?;
        let engine = Engine::start(&home)?;
        let container = engine.container("other")?;
        Ok(Bench {
            container,
            engine,
            each,
            home,
        })
    }

    fn during(&self, name: &str, attacks: &[&Attack]) -> Result<()> {
        let sensor = self.home.run()?;
        read_at_once()?;
        let running = self.start(attacks)?;
        let attacker = running.first().map(|running| ("its own", running.container.as_str()));
        let alerting: Vec<(&str, Child)> = [Some(("another container's", self.container.id.as_str())), attacker]
            .into_iter()
            .flatten()
            .map(|(whose, container)| Ok((whose, self.alerts_of(container)?)))
            .collect::<Result<_>>()?;
        let printed: Vec<(&str, Vec<u8>)> = alerting
            .into_iter()
            .map(|(whose, program)| {
                let ended = program.wait_with_output()?;
                ensure!(ended.status.success(), "the programs that raise alerts failed");
                Ok((whose, ended.stdout))
            })
            .collect::<Result<_>>()?;
        drop(running);
        for (whose, printed) in printed {
            let (latencies, missing) = latencies_of_seen(&sensor, &printed, Since::Seen)?;
            report(&format!("{name}, {whose}, {missing} missing"), latencies);
        }
        println!("{name}: {:.1} MiB resident at most", peak_mib(sensor.process_id())?);
        stop(sensor)
    }

    /// What waits for a reader that has stopped.
    fn unread(&self, attacks: &[&Attack]) -> Result<()> {
        let rule = self.home.rules().join("arguments.toml");
        fs::write(&rule, ALERTS_ON_ARGUMENTS)?;
        let mut command = self.home.command("run")?;
        command.args(["--format", "json"]).stdin(Stdio::null());
        let mut sensor = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let running = self.start(attacks)?;
        thread::sleep(self.each);
        drop(running);
        let peak = peak_mib(sensor.id());
        sensor.kill()?;
        sensor.wait()?;
        fs::remove_file(rule)?;
        println!(
            "all together, and nobody reads the alerts: {:.1} MiB resident at most",
            peak?
        );
        Ok(())
    }

    fn start(&self, attacks: &[&Attack]) -> Result<Vec<Running<'_>>> {
        let processes = if attacks.len() > 1 { TOGETHER } else { ALONE };
        let start = |attack: &&Attack| attack.start(&self.engine, processes);
        attacks.iter().map(start).collect()
    }

    /// Programs of a container that raise alerts at a steady rate.
    fn alerts_of(&self, container: &str) -> Result<Child> {
        let paced = compile_static("paced")?;
        let target = format!("{container}:/usr/bin/paced");
        run(self.engine.docker(&["cp"]).arg(&paced).arg(target))?;
        let alerts = self.each.as_secs() * RATE;
        let mut command = self.engine.docker(&["exec", container, "paced"]);
        // Each container's programs have names of their own.
        command.args([
            &alerts.to_string(),
            &RATE.to_string(),
            &format!("/usr/bin/{FENCE}"),
            container,
        ]);
        command
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start `docker exec`")
    }
}

/// Has this program's threads run before those of the attack: it is not the reader of the alerts that is measured.
fn read_at_once() -> Result<()> {
    let options = ["--all-tasks", "--reset-on-fork", "--rr", "--pid", "2"];
    run(Command::new("chrt").args(options).arg(id().to_string()))?;
    Ok(())
}
