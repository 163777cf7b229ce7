//! What is released, in use: `xtask dist` has built it, and names the folder.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use tests::containerd::Containerd;
use tests::cri::{ContainerDescription, PodDescription};
use tests::document::Document;
use tests::engine::Engine;
use tests::program::run;
use tests::sensor::{Home, Sensor};

const FOLDER: &str = "TIDEWAITER_RELEASED";

/// Whom the image that needs no root is run by.
const USER: u32 = 65532;

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
    // An image is known by the time a container starts; more is so once it has started.
    let container = engine.container("web")?;
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

    let mut shell = engine.shell(&container)?;
    shell.type_command("apt-get install -y curl")?;
    shell.leave()?;
    let alert = sensor.wait_for("alert of the installation", |alert| {
        let is_it = alert.rule() == "Tool installed by hand in a container";
        (is_it && alert.text("container.id") == container.id).then(|| alert.clone())
    })?;
    assert_eq!(alert.text("process.executable"), "/usr/bin/apt-get");
    assert_is_known(&alert, "web");
    Ok(())
}

#[test]
fn the_image_for_a_user_who_is_not_root_raises_an_alert() -> Result<()> {
    let Some(archive) = released(
        "the_image_for_a_user_who_is_not_root_raises_an_alert",
        "-x86_64-nonroot.docker.tar",
    )?
    else {
        return Ok(());
    };
    let home = Home::new()?;
    // Where the user may write, and else be only.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
    chown(home.state(), Some(USER), Some(0))?;
    let engine = Containerd::start(&home)?;
    let import = ["images", "import", "--snapshotter", "native"];
    let imported = run(engine.ctr(&import).arg(&archive))?;
    let imported = String::from_utf8(imported.stdout)?;
    let image = imported.split_whitespace().find(|word| word.ends_with("-nonroot"));
    let image = image.context("no image was imported")?;
    let kubelet = engine.kubelet()?;
    let pod = kubelet.run_pod(PodDescription::on_cgroupfs(
        "shop",
        "8c3e5d30-3b4f-4e5d-9ca1-23456789abcd",
    ))?;
    let container = kubelet.run(
        &pod,
        &ContainerDescription {
            name: "web",
            command: &["/bin/sleep", "infinity"],
            ..ContainerDescription::default()
        },
    )?;
    let mount = format!("type=bind,src={0},dst={0},options=rbind:rw", home.path().display());
    let config = home.config().display().to_string();
    let mut command = engine.ctr(&[
        "run",
        "--rm",
        "--snapshotter=native",
        "--read-only",
        // The file's capabilities are privileges that the program did not have before.
        "--allow-new-privs",
        "--mount",
        &mount,
    ]);
    for capability in ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"] {
        command.args(["--cap-add", capability]);
    }
    command.args([
        image,
        "sensor",
        "/usr/bin/tidewaiter",
        "run",
        "--format=json",
        "--config",
        &config,
    ]);
    let sensor = Sensor::start(&mut command)?;
    kubelet.type_into_shell(&container, &["apt-get install -y curl"])?;
    let alert = sensor.wait_for("alert of the installation", |alert| {
        let is_it = alert.rule() == "Tool installed by hand in a container";
        (is_it && alert.text("container.id") == container).then(|| alert.clone())
    })?;
    assert_is_known(&alert, "web");
    // It is this user who remembers.
    let state = fs::read_dir(home.state())?.flatten().collect::<Vec<_>>();
    assert!(!state.is_empty());
    for file in state {
        assert_eq!(file.metadata()?.uid(), USER, "{}", file.path().display());
    }
    Ok(())
}

/// All that its engine says of the container is in the alert.
fn assert_is_known(alert: &Document, name: &str) {
    assert_eq!(alert.text("container.name"), name);
    assert_eq!(alert.text("tidewaiter.container.metadata"), "complete");
}

#[test]
fn the_binary_needs_nothing_beside_it() -> Result<()> {
    let Some(program) = released("the_binary_needs_nothing_beside_it", "-x86_64")? else {
        return Ok(());
    };
    // In a root without anything else.
    let root = tempfile::tempdir()?;
    run(Command::new("cp").arg(&program).arg(root.path().join("tidewaiter")))?;
    let listed = run(Command::new("chroot")
        .arg(root.path())
        .args(["/tidewaiter", "rules", "list"]))?;
    assert!(String::from_utf8(listed.stdout)?.contains("Tool installed by hand in a container"));
    Ok(())
}

/// Installs the package `$2` on this system, of which a copy is changed instead (in memory, at `$1`), and removes it again.
const INSTALL_AND_PURGE: &str = r#"
mount -t tmpfs tmpfs "$1"
root=$1/root
mkdir "$1/changed" "$1/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changed,workdir=$1/work" "$root"
cp "$2" "$root/package.deb"
quietly() { chroot "$root" "$@" >"$root/said" 2>&1 || { cat "$root/said" >&2; exit 1; }; }
quietly dpkg --install /package.deb
chroot "$root" tidewaiter rules list
test -L "$root/etc/systemd/system/multi-user.target.wants/tidewaiter.service" && echo enabled
mkdir -p "$root/var/lib/tidewaiter"
touch "$root/var/lib/tidewaiter/history"
quietly dpkg --remove tidewaiter
test -e "$root/etc/tidewaiter/tidewaiter.toml" && test -e "$root/var/lib/tidewaiter/history" && echo kept
quietly dpkg --purge tidewaiter
find "$1/changed" -name "*tidewaiter*" -not -type c
"#;

#[test]
fn the_package_runs_where_it_is_installed_and_leaves_nothing() -> Result<()> {
    let Some(package) = released(
        "the_package_runs_where_it_is_installed_and_leaves_nothing",
        "_amd64.deb",
    )?
    else {
        return Ok(());
    };
    let contents = run(Command::new("dpkg-deb").arg("--contents").arg(&package))?;
    let contents = String::from_utf8(contents.stdout)?;
    for file in [
        "usr/share/bash-completion/completions/tidewaiter",
        "usr/share/fish/vendor_completions.d/tidewaiter.fish",
        "usr/share/man/man1/tidewaiter-run.1.gz",
        "usr/share/man/man1/tidewaiter.1.gz",
        "usr/share/zsh/vendor-completions/_tidewaiter",
    ] {
        assert!(
            contents.lines().any(|line| line.ends_with(&format!(" {file}"))),
            "{file}"
        );
    }
    assert!(!contents.contains("-help"), "{contents}");

    let folder = tempfile::tempdir()?;
    let mut shell = Command::new("unshare");
    shell.args([
        "--mount",
        "--propagation=private",
        "sh",
        "-euc",
        INSTALL_AND_PURGE,
        "sh",
    ]);
    let said = String::from_utf8(run(shell.arg(folder.path()).arg(&package))?.stdout)?;
    let (rules, rest): (Vec<_>, Vec<_>) = said.lines().partition(|line| line.contains(' '));
    assert!(
        rules
            .iter()
            .any(|rule| rule.contains("Tool installed by hand in a container"))
    );
    assert_eq!(rest, ["enabled", "kept"]);
    Ok(())
}
