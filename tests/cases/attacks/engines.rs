//! Engines that say what nobody expects: it costs what it is about, and nothing else.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use tests::podman::{Owner, Podman};
use tests::program::run;
use tests::sensor::Home;

#[test]
fn a_container_in_an_odd_state_takes_nothing_from_the_others() -> Result<()> {
    let home = Home::new()?;
    let podman = Podman::start(&home.engine().join("podman"), &home.podman_socket(), Owner::Root)?;
    let odd = podman.run_detached(&["--name", "odd"], &["/bin/sleep", "infinity"])?;
    // Its monitor ends first, so nobody cleans up, and its exit is only noted.
    let pids = run(&mut podman.podman(&["inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", &odd]))?.stdout;
    let pids = String::from_utf8(pids)?;
    run(podman.beside("kill").arg("-9").args(pids.split_whitespace()))?;
    let note = format!("printf 137 > /run/libpod/exits/{odd}");
    run(podman.beside("sh").args(["-c", &note]))?;
    let web = podman.run_detached(&["--name", "web"], &["/bin/sleep", "infinity"])?;

    let sensor = home.run()?;
    let alert = sensor.fence(|number| {
        run(&mut podman.podman(&["exec", &web, "/usr/bin/fence", number]))?;
        Ok(())
    })?;
    assert_eq!(alert.text("container.name"), "web");
    let output = home.command("doctor")?.output()?;
    let said = String::from_utf8(output.stdout)?;
    assert!(said.contains("2 containers"), "{said}");

    // The state is one that clients for Docker do not know.
    let mut connection = UnixStream::connect(home.podman_socket())?;
    connection.write_all(b"GET /containers/json?all=true HTTP/1.0\r\n\r\n")?;
    let mut listed = String::new();
    connection.read_to_string(&mut listed)?;
    assert!(listed.contains(r#""State":"stopped""#), "{listed}");
    Ok(())
}
