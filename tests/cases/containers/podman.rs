//! Podman over its API socket: root's, and a user's.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tests::podman::{Owner, Podman, USER};
use tests::program::run;
use tests::sensor::Home;

use super::{ALWAYS_REPORTED, exec_of, fields, until_an_event};

#[test]
fn podmans_containers_are_known_by_name() -> Result<()> {
    let home = Home::new()?;
    let podman = Podman::start(&home.engine().join("podman"), &home.podman_socket(), Owner::Root)?;
    let before = podman.run_detached(
        &["--name", "before", "--label", "team=checkout"],
        &["/bin/sleep", "infinity"],
    )?;
    let recorder = home.events()?;
    let options = ["--name", "after", "--volume", "/etc:/host/etc:ro"];
    let after = podman.run_detached(&options, &["/bin/sleep", "infinity"])?;
    for (id, name) in [(&before, "before"), (&after, "after")] {
        run(&mut podman.podman(&["exec", id, "/usr/bin/ordinary"]))?;
        let event = exec_of(&recorder, id, "/usr/bin/ordinary")?;
        assert_eq!(
            fields(&event, &ALWAYS_REPORTED),
            [
                format!("container.id: {id}"),
                format!("container.name: {name}"),
                "container.image.name: registry.example/tools/end-to-end".to_owned(),
                "tidewaiter.container.metadata: complete".to_owned(),
            ]
        );
        assert_eq!(event.text("container.runtime"), "podman");
        match name {
            "before" => assert_eq!(event.get("container.labels").expect("labels")["team"], "checkout"),
            _ => assert_eq!(event.text("tidewaiter.container.mounts"), "/etc:/host/etc:ro"),
        }
    }
    Ok(())
}

#[test]
fn a_users_containers_are_described_by_that_users_podman_alone() -> Result<()> {
    let unified = Path::new("/sys/fs/cgroup/unified");
    let tree = if unified.exists() {
        unified
    } else {
        Path::new("/sys/fs/cgroup")
    };
    let home = Home::new()?;
    let folder = home.user_folder(USER)?;
    let socket = folder.join("podman.sock");
    home.configure(&format!(
        "further_engines = [{{engine = \"podman\", socket = {socket:?}, user = {USER}}}]"
    ))?;
    let podman = match Podman::start(&folder.join("podman"), &socket, Owner::User) {
        Ok(podman) => podman,
        Err(error) => {
            let reason = format!("a user cannot run Podman here: {error:#}");
            tests::skipped(
                "a_users_containers_are_described_by_that_users_podman_alone",
                &reason.replace('\n', " "),
            );
            return Ok(());
        }
    };
    let listen = "busybox mkfifo /tmp/go; while read argument < /tmp/go; do /usr/bin/ordinary $argument; done";
    let id = podman.run_detached(&["--name", "mine"], &["/bin/sh", "-c", listen])?;
    let process_id =
        String::from_utf8(run(&mut podman.podman(&["inspect", "--format", "{{.State.Pid}}", &id]))?.stdout)?;
    // Without systemd nobody gives a user's containers cgroups of their own, so that is done here, as systemd would.
    let scope = format!("user.slice/user-{USER}.slice/user@{USER}.service/user.slice/libpod-{id}.scope");
    let scope = tree.join(scope);
    fs::create_dir_all(&scope)?;
    fs::write(scope.join("cgroup.procs"), process_id.trim_end())?;

    let recorder = home.events()?;
    let pipe = Path::new("/proc").join(process_id.trim_end()).join("root/tmp/go");
    let run = |command: &[&str]| Ok(fs::write(&pipe, format!("{}\n", command[1]))?);
    until_an_event(&recorder, run, |event| {
        assert_eq!(event.text("container.id"), id);
        fields(event, &ALWAYS_REPORTED)[1..]
            == [
                "container.name: mine",
                "container.image.name: registry.example/tools/end-to-end",
                "tidewaiter.container.metadata: complete",
            ]
    })?;
    drop(podman);
    for folder in scope.ancestors().take(5) {
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}
