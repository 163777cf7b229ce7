//! What a container gains that works against the sensor at full speed: its peak memory, and what becomes meanwhile of the
//! alerts of another container and of its own.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tests::attack::{ALERTS_ON_ARGUMENTS, ATTACKS, Attack, READS_ENVIRONMENT, Running, peak_mib};
use tests::engine::{Container, Engine};
use tests::image::FENCE;
use tests::program::{compile_static, run};
use tests::sensor::Home;

use crate::latency::{latencies_of_seen, report};
use crate::sensor::stop;

/// Alerts of the other container, a second, and of the one that attacks.
const RATE: u64 = 20;
const PROCESSES_AT_MOST: usize = usize::MAX;

pub(crate) fn measure(minutes: f64, name: Option<&str>) -> Result<()> {
    let chosen: Vec<&Attack> = ATTACKS
        .iter()
        .filter(|attack| name.is_none_or(|name| name == attack.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
        bail!("no such attack; there are {}", names.join(", "));
    }
    let bench = Bench::new(Duration::from_secs_f64(60.0 * minutes))?;
    for attack in &chosen {
        bench.during(attack.name, &[attack])?;
    }
    bench.unread(chosen[0])?;
    if chosen.len() > 1 {
        bench.during("all together", &chosen)?;
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
        let running: Vec<Running> = attacks
            .iter()
            .map(|attack| attack.start(&self.engine, PROCESSES_AT_MOST))
            .collect::<Result<_>>()?;
        let others = self.alerts_of(&self.container.id, "other")?;
        let own = self.alerts_of(&running[0].containers[0], "own")?;
        let (others, own) = (others.wait_with_output()?, own.wait_with_output()?);
        drop(running);
        for (whose, printed) in [("another container's", others.stdout), ("its own", own.stdout)] {
            let (latencies, missing) = latencies_of_seen(&sensor, &printed)?;
            report(&format!("{name}, {whose}"), latencies);
            println!("{name}, {whose}: {missing} missing");
        }
        println!("{name}: {:.1} MiB resident at most", peak_mib(sensor.process_id())?);
        stop(sensor)
    }

    /// What waits for a reader that has stopped.
    fn unread(&self, attack: &Attack) -> Result<()> {
        let rule = self.home.rules().join("arguments.toml");
        fs::write(&rule, ALERTS_ON_ARGUMENTS)?;
        let mut command = self.home.command("run")?;
        command.args(["--format", "json"]).stdin(Stdio::null());
        let mut sensor = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let running = attack.start(&self.engine, PROCESSES_AT_MOST)?;
        thread::sleep(self.each);
        drop(running);
        let peak = peak_mib(sensor.id());
        sensor.kill()?;
        sensor.wait()?;
        fs::remove_file(rule)?;
        println!("{}, its alerts unread: {:.1} MiB resident at most", attack.name, peak?);
        Ok(())
    }

    /// Programs of a container that raise alerts at a steady rate.
    fn alerts_of(&self, container: &str, name: &str) -> Result<Child> {
        let paced = compile_static("paced")?;
        let target = format!("{container}:/usr/bin/paced");
        run(self.engine.docker(&["cp"]).arg(&paced).arg(target))?;
        let alerts = self.each.as_secs() * RATE;
        let mut command = self.engine.docker(&["exec", container, "paced"]);
        command.args([
            &alerts.to_string(),
            &RATE.to_string(),
            &format!("/usr/bin/{FENCE}"),
            name,
        ]);
        command
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start `docker exec`")
    }
}
