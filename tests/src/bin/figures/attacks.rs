//! What a container gains that works against the sensor at full speed: its peak memory, and what becomes of another
//! container's alerts meanwhile.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tests::attack::{ATTACKS, Attack, READS_ENVIRONMENT, Running, peak_mib};
use tests::engine::{Container, Engine};
use tests::image::FENCE;
use tests::program::{compile_static, run};
use tests::sensor::Home;

use crate::latency::{latencies, report};
use crate::sensor::stop;

/// Alerts of the other container, a second.
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
        let paced = compile_static("paced")?;
        run(engine
            .docker(&["cp"])
            .arg(&paced)
            .arg(format!("{}:/usr/bin/paced", container.id)))?;
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
        let printed = self.alerts_of_another()?.wait_with_output()?.stdout;
        drop(running);
        report(&format!("{name}, another container's"), latencies(&sensor, &printed)?);
        println!("{name}: {:.1} MiB resident at most", peak_mib(sensor.process_id())?);
        stop(sensor)
    }

    /// Programs of another container, at a steady rate.
    fn alerts_of_another(&self) -> Result<Child> {
        let alerts = self.each.as_secs() * RATE;
        let mut command = self.engine.docker(&["exec", &self.container.id, "paced"]);
        command.args([alerts.to_string(), RATE.to_string(), format!("/usr/bin/{FENCE}")]);
        command
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start `docker exec`")
    }
}
