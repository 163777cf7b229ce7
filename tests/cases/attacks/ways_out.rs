//! Ways out of a container that no name and no spelling tells: what counts is where a program runs, and who started it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde_json::json;
use tests::engine::Engine;
use tests::program::{compile_static, run};
use tests::sensor::Home;

#[test]
fn who_comes_into_the_host_is_told_whatever_was_used_for_it() -> Result<()> {
    const ENTERED: &str = "Host entered from a container";
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let volume = format!("{}:/odd:ro", compile_static("odd_exec")?.display());
    // The root of the host under a name that says nothing, and its processes, of which those of the kernel can be looked at
    // by whoever may trace.
    let options =
        "--pid host --cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt apparmor=unconfined --volume /:/srv:ro";
    let options: Vec<&str> = options.split(' ').chain(["--volume", &volume]).collect();
    let container = engine.run_detached(&options, &["/bin/sleep", "infinity"])?;
    let sensor = home.run()?;
    for (way, place, expected) in [
        ("joined", "/proc/2/ns/mnt", json!(["mount", "root"])),
        ("rooted", "/srv", json!(["root"])),
    ] {
        let command = ["exec", &container, "/odd", way, place, "/bin/true", way];
        run(&mut engine.docker(&command))?;
        let entered = sensor.wait_for(&format!("alert on who {way}"), |alert| {
            let is_it = alert.rule() == ENTERED && alert.text("process.args").contains(way);
            is_it.then(|| alert.get("tidewaiter.process.entered_host").cloned())
        })?;
        assert_eq!(entered, Some(expected), "{way}");
    }
    Ok(())
}

/// A hierarchy of control groups of the test's own.
struct Hierarchy(PathBuf);

impl Drop for Hierarchy {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("emptied"));
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn what_the_kernel_is_made_to_start_is_told() -> Result<()> {
    let home = Home::new()?;
    let place = home.path().join("hierarchy");
    fs::create_dir(&place)?;
    let name = format!("none,name=tidewaiter-{}", std::process::id());
    run(Command::new("mount")
        .args(["-t", "cgroup", "-o", &name, "none"])
        .arg(&place))?;
    let hierarchy = Hierarchy(place);
    let agent = home.path().join("agent");
    fs::write(&agent, "#!/bin/sh\n")?;
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755))?;
    let sensor = home.run()?;

    let emptied = hierarchy.0.join("emptied");
    fs::create_dir(&emptied)?;
    fs::write(hierarchy.0.join("release_agent"), agent.as_os_str().as_encoded_bytes())?;
    fs::write(emptied.join("notify_on_release"), "1")?;
    let enter = "echo $$ >\"$0\"/cgroup.procs; :";
    run(Command::new("/bin/sh").args(["-c", enter]).arg(&emptied))?;
    sensor.wait_for("alert on what the kernel started", |alert| {
        let is_it = alert.rule() == "Program started by the kernel for a container";
        (is_it && alert.text("tidewaiter.process.script") == agent.display().to_string()).then_some(())
    })
}
