//! The container engine is not there, or goes away.

use std::time::Instant;

use anyhow::Result;
use tests::engine::Engine;
use tests::lines::PATIENCE;
use tests::sensor::Home;

use super::{assert_still_alerting, fence_on_host};

#[test]
fn without_an_engine_it_says_so_and_alerts() -> Result<()> {
    let home = Home::new()?;
    let fence = fence_on_host(&home)?;
    let socket = home.docker_socket().display().to_string();
    let sensor = home.run()?;
    sensor
        .diagnostics
        .wait_for("word about the socket", |line| line.contains(&socket).then_some(()))?;
    assert_still_alerting(&sensor, &fence)
}

#[test]
fn while_the_engine_is_down_containers_are_still_known_by_id() -> Result<()> {
    let home = Home::new()?;
    let mut engine = Engine::start(&home)?;
    let listener = engine.listener()?;
    let sensor = home.run()?;

    engine.crash()?;
    let alert = sensor.fence(|number| listener.run_fence(number))?;
    assert_eq!(alert.text("container.id"), listener.id);
    Ok(())
}

#[test]
fn an_engine_that_comes_back_is_asked_again() -> Result<()> {
    let home = Home::new()?;
    let mut engine = Engine::start(&home)?;
    let sensor = home.run()?;
    engine.crash()?;
    engine.start_again()?;

    let container = engine.container("after-the-crash")?;
    // How soon the sensor notices is its own affair: a fence is run until one bears the name.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let alert = sensor.fence(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
        if alert.text("container.name") == container.name {
            return Ok(());
        }
    }
    anyhow::bail!("the container's name is still not known")
}
