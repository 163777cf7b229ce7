//! The history of what has been seen is damaged, or cannot be written.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use tests::engine::{Container, Engine};
use tests::program::tidewaiter;
use tests::sensor::{Home, Sensor};

use crate::INSTALLATION;

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?)
}

/// Installs something by hand in the container and waits for the alert.
fn assert_still_alerting(sensor: &Sensor, engine: &Engine, container: &Container) -> Result<()> {
    let mut shell = engine.shell(container)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;
    sensor.wait_for("alert of the installation", |alert| {
        (alert.rule() == INSTALLATION).then_some(())
    })
}

#[test]
fn a_damaged_history_is_named_and_the_sensor_runs() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = home.run()?;
    assert_still_alerting(&sensor, &engine, &container)?;
    sensor.stop()?;

    let files = files_in(&home.state())?;
    assert!(!files.is_empty(), "no history in `{}`", home.state().display());
    for file in &files {
        fs::write(file, "not a history ".repeat(1000))?;
    }
    let sensor = home.run()?;
    let state = home.state().display().to_string();
    sensor
        .diagnostics
        .wait_for("word about the history", |line| line.contains(&state).then_some(()))?;
    assert_still_alerting(&sensor, &engine, &container)
}

#[test]
fn with_a_full_disk_it_says_so_and_alerts() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;

    let mut command = Command::new("unshare");
    let small_disk = "mount -t tmpfs -o size=16m none \"$0\" && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", small_disk])
        .arg(home.state())
        .arg(tidewaiter()?);
    command.args(["run", "--format", "json", "--config"]).arg(home.config());
    let sensor = Sensor::start(&mut command)?;
    let state = home.state();
    let inside = Path::new("/proc")
        .join(sensor.process_id().to_string())
        .join("root")
        .join(state.strip_prefix("/")?);
    fill_disk(&inside.join("filler"))?;

    assert_still_alerting(&sensor, &engine, &container)?;
    let state = state.display().to_string();
    sensor.diagnostics.wait_for("word about the full disk", |line| {
        (line.contains(&state) && line.contains("space")).then_some(())
    })
}

fn fill_disk(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    loop {
        match file.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => bail!("could not fill the disk: {error}"),
        }
    }
}
