//! The main path: somebody opens a shell in a container and installs a tool.

mod sessions;

use std::collections::BTreeSet;
use std::fs;

use anyhow::Result;
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::image::{PACKAGE_MANAGERS, SCRIPT_PACKAGE_MANAGER, place_stand_in};
use tests::podman::{Owner, Podman};
use tests::program::run;
use tests::sensor::{Home, Sensor};
use tests::terminal::Terminal;

use crate::{INSTALLATION, SHELL, described};

fn alerts_so_far(sensor: &Sensor, engine: &Engine, container: &Container) -> Result<Vec<Document>> {
    sensor.alerts_until_now(|number| engine.exec(container, &["/usr/bin/fence", number]))
}

#[test]
fn an_install_in_an_interactive_shell_gives_exactly_the_expected_alerts() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = home.run()?;

    let mut shell = engine.shell(&container)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;

    let alerts = alerts_so_far(&sensor, &engine, &container)?;
    let image = "web of registry.example/tools/end-to-end:1.2";
    assert_eq!(
        described(&alerts, &container.id),
        [
            format!("Interactive shell opened in a container: sh in {image}"),
            format!("Program new to interactive sessions in containers: sh in {image}"),
            format!("Tool installed by hand in a container: apt-get in {image}"),
        ]
    );

    let installation = alerts
        .iter()
        .find(|alert| alert.rule() == INSTALLATION)
        .expect("compared above");
    assert_eq!(installation.text("event.kind"), "signal");
    assert_eq!(
        installation.text("process.args"),
        r#"["apt-get","install","-y","curl"]"#
    );
    assert_eq!(installation.text("process.executable"), "/usr/bin/apt-get");
    assert_eq!(installation.text("process.interactive"), "true");
    assert_eq!(installation.text("process.parent.name"), "sh");
    assert_eq!(installation.text("process.entry_leader.entry_meta.type"), "container");
    assert_eq!(
        installation.text("container.image.name"),
        "registry.example/tools/end-to-end"
    );
    Ok(())
}

#[test]
fn an_alert_for_a_person_names_what_and_where_and_obeys_no_escapes() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = Sensor::start(home.command("run")?.args(["--format", "text"]))?;

    let mut shell = engine.shell(&container)?;
    shell.type_command(r#"apt-get install -y curl "$(printf '\033]0;harmless\007')""#)?;
    shell.leave()?;

    let has_arguments = |line: &str| line.contains("apt-get install -y curl").then_some(());
    sensor.output.wait_for("line with the arguments", has_arguments)?;
    let output = sensor.output.clone();
    sensor.stop()?;
    let text = output.wait_for_end()?.join("\n");
    for expected in [INSTALLATION, "web", "registry.example/tools/end-to-end:1.2", "harmless"] {
        assert!(text.contains(expected), "`{expected}` is not in:\n{text}");
    }
    assert!(!text.contains(['\u{1b}', '\u{7}']), "an escape is in: {text:?}");
    Ok(())
}

#[test]
fn every_package_manager_is_recognised() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = home.run()?;

    let mut shell = engine.shell(&container)?;
    let names: BTreeSet<&str> = PACKAGE_MANAGERS.into_iter().chain([SCRIPT_PACKAGE_MANAGER]).collect();
    for name in &names {
        let arguments = match *name {
            "apk" => "add",
            "dpkg" => "--install",
            "pacman" => "-Sy",
            "rpm" => "-i",
            _ => "install",
        };
        // With its path, for busybox's shell takes some of these names for its own tools.
        shell.type_command(&format!("/usr/bin/{name} {arguments} wget"))?;
    }
    shell.leave()?;

    let alerts = alerts_so_far(&sensor, &engine, &container)?;
    let of_rule = alerts.iter().filter(|alert| alert.rule() == INSTALLATION);
    let recognised: BTreeSet<String> = of_rule.map(|alert| alert.text("process.name")).collect();
    assert_eq!(recognised, names.into_iter().map(str::to_owned).collect());
    Ok(())
}

/// As `tty: true` has it in many a service's description, and `docker run -t` in a pipeline.
#[test]
fn a_containers_start_at_a_terminal_at_which_nobody_can_type_is_no_session() -> Result<()> {
    const START: &str = "/usr/bin/apt-get install -y curl; /bin/sh -c '/usr/bin/ordinary; :'; exec sleep infinity";
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let podman = Podman::start(&home.engine().join("podman"), &home.podman_socket(), Owner::Root)?;
    let sensor = home.run()?;
    let command = ["/bin/sh", "-c", START];
    let unattended = [
        engine.run_detached(&["--tty"], &command)?,
        podman.run_detached(&["--tty"], &command)?,
    ];
    // Events of a container are judged in their order.
    let come_in = ["exec", "--tty", &unattended[0], "/bin/sh", "-c", ": came-in"];
    run(&mut engine.docker(&come_in))?;
    run(&mut podman.podman(&["exec", "--tty", &unattended[1], "/bin/sh", "-c", ": came-in"]))?;
    for id in &unattended {
        sensor.wait_for("alert of the shell that came in", |alert| {
            let is_it = alert.rule() == SHELL && alert.text("container.id") == *id;
            (is_it && alert.text("process.args").contains("came-in")).then_some(())
        })?;
        let alerts = sensor.alerts_so_far();
        let own = alerts.iter().filter(|alert| alert.text("container.id") == *id);
        let of_start = own.filter(|alert| !alert.text("process.args").contains("came-in"));
        assert_eq!(of_start.map(Document::rule).collect::<Vec<_>>(), [""; 0]);
    }
    let attended = [
        engine.run_detached(&["--tty", "--interactive"], &command)?,
        podman.run_detached(&["--tty", "--interactive"], &command)?,
    ];
    for id in &attended {
        sensor.wait_for("alert of the installation where somebody can type", |alert| {
            (alert.rule() == INSTALLATION && alert.text("container.id") == *id).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn the_same_install_without_a_terminal_gives_no_alert() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = home.run()?;

    engine.exec(&container, &["/bin/sh", "-c", "apt-get install -y curl; :"])?;

    let alerts = alerts_so_far(&sensor, &engine, &container)?;
    assert_eq!(described(&alerts, &container.id), [""; 0]);
    Ok(())
}

#[test]
fn the_same_install_on_the_host_gives_no_alert() -> Result<()> {
    let home = Home::new()?;
    let programs = home.path().join("programs");
    fs::create_dir(&programs)?;
    place_stand_in(&programs.join("apt-get"))?;
    place_stand_in(&programs.join("fence"))?;
    let sensor = home.run()?;

    let mut shell = Terminal::open(&std::process::Command::new("/bin/sh"))?;
    shell.type_command(&format!("{}/apt-get install -y curl", programs.display()))?;
    shell.leave()?;

    let fence = programs.join("fence");
    let alerts = sensor.alerts_until_now(|number| {
        run(std::process::Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    let on_the_host = alerts.iter().filter(|alert| alert.get("container.id").is_none());
    assert_eq!(on_the_host.map(crate::describe).collect::<Vec<_>>(), [""; 0]);
    Ok(())
}

#[test]
fn a_shell_opened_before_the_sensor_is_in_the_lineage_of_what_it_starts() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let mut shell = engine.shell(&container)?;
    shell.type_command("ordinary")?;

    let sensor = home.run()?;
    shell.type_command("apt-get install -y curl")?;
    let alert = sensor.wait_for("installation", |alert| {
        (alert.rule() == INSTALLATION).then(|| alert.clone())
    })?;

    for relative in ["process.parent", "process.session_leader", "process.entry_leader"] {
        assert_eq!(alert.text(&format!("{relative}.executable")), "/bin/sh", "{relative}");
        assert_eq!(alert.text(&format!("{relative}.args")), "/bin/sh", "{relative}");
        assert_eq!(
            alert.text(&format!("{relative}.entity_id")),
            alert.text("process.parent.entity_id"),
            "{relative}"
        );
    }
    assert_eq!(alert.text("container.name"), "web");
    Ok(())
}
