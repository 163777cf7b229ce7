//! Containers that are gone before anybody can ask about them.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Result, anyhow};
use tests::engine::Engine;
use tests::sensor::Home;

/// How many containers are started, by how many at once.
const CONTAINERS: usize = 100;
const AT_ONCE: usize = 4;

#[test]
fn a_hundred_containers_that_live_under_a_second_are_all_identified() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;

    let start_some = || {
        (0..CONTAINERS / AT_ONCE)
            .map(|_| engine.run_detached(&[], &["/usr/bin/ordinary"]))
            .collect()
    };
    let started: Vec<Result<Vec<String>>> = thread::scope(|scope| {
        let starters: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(start_some)).collect();
        let ended = starters.into_iter().map(|starter| starter.join());
        ended
            .map(|result| result.unwrap_or_else(|_| Err(anyhow!("a starter panicked"))))
            .collect()
    });
    let mut missing: BTreeSet<String> = started
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(missing.len(), CONTAINERS);

    recorder.wait_for("start of each container's program", |event| {
        if event.text("event.action") == "exec" && event.text("process.executable") == "/usr/bin/ordinary" {
            missing.remove(&event.text("container.id"));
        }
        missing.is_empty().then_some(())
    })
}
