//! What is released, in use: `xtask dist` has built it, and names the folder.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tests::engine::Engine;
use tests::program::run;
use tests::sensor::{Home, Sensor};

const FOLDER: &str = "TIDEWAITER_RELEASED";

/// The released file with this ending, or word that there is none.
fn released(test: &str, ending: &str) -> Result<Option<PathBuf>> {
    let Some(folder) = env::var_os(FOLDER) else {
        println!("SKIPPED {test}: `{FOLDER}` names no folder with what is released");
        return Ok(None);
    };
    let entries = fs::read_dir(&folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let file = files.find(|file| file.is_file() && file.to_string_lossy().ends_with(ending));
    Ok(Some(file.with_context(|| {
        format!("`{}` holds no *{ending}", folder.display())
    })?))
}

#[test]
fn the_image_with_a_root_that_is_read_only_raises_an_alert() -> Result<()> {
    let Some(archive) = released(
        "the_image_with_a_root_that_is_read_only_raises_an_alert",
        "-x86_64.docker.tar",
    )?
    else {
        return Ok(());
    };
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let loaded = run(engine.docker(&["load", "--quiet", "--input"]).arg(&archive))?;
    let loaded = String::from_utf8(loaded.stdout)?;
    let image = loaded
        .trim_end()
        .strip_prefix("Loaded image: ")
        .context("no image was loaded")?;
    let mount = format!("{0}:{0}", home.path().display());
    let config = home.config().display().to_string();
    let sensor = Sensor::start(&mut engine.docker(&[
        "run",
        "--name=sensor",
        "--network=none",
        // This engine is too old to know CAP_BPF and CAP_PERFMON by their names, which are parts of SYS_ADMIN.
        "--cap-drop=ALL",
        "--cap-add=SYS_ADMIN",
        "--cap-add=SYS_PTRACE",
        "--cap-add=DAC_READ_SEARCH",
        "--pid=host",
        "--read-only",
        "--volume",
        &mount,
        image,
        "run",
        "--format=json",
        "--config",
        &config,
    ]))?;

    let container = engine.container("web")?;
    let mut shell = engine.shell(&container)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;
    let alert = sensor.wait_for("alert of the installation", |alert| {
        let is_it = alert.rule() == "Tool installed by hand in a container";
        (is_it && alert.text("container.id") == container.id).then(|| alert.clone())
    })?;
    assert_eq!(alert.text("process.executable"), "/usr/bin/apt-get");
    Ok(())
}

#[test]
fn the_binary_needs_nothing_beside_it() -> Result<()> {
    let Some(program) = released("the_binary_needs_nothing_beside_it", "-x86_64")? else {
        return Ok(());
    };
    // In a root without anything else.
    let root = tempfile::tempdir()?;
    run(std::process::Command::new("cp")
        .arg(&program)
        .arg(root.path().join("tidewaiter")))?;
    let listed = run(std::process::Command::new("chroot")
        .arg(root.path())
        .args(["/tidewaiter", "rules", "list"]))?;
    assert!(String::from_utf8(listed.stdout)?.contains("Tool installed by hand in a container"));
    Ok(())
}
