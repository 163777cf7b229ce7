//! What runs and with whose rights, whatever it calls itself.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use nix::sys::stat::{major, minor};
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::image::{ORDINARY, place_stand_in};
use tests::lines::PATIENCE;
use tests::program::{compile_static, run};
use tests::sensor::{Home, Sensor};

const FOREIGN_PROGRAM: &str = "Program that is not of the image in a container";

const NOBODY: &str = "65534";

#[test]
fn a_program_is_known_by_its_file_and_not_by_its_name() -> Result<()> {
    let home = Home::new()?;
    let odd_exec = compile_static("odd_exec")?;
    let program = home.path().join(ORDINARY[0]);
    place_stand_in(&program)?;
    let sensor = Sensor::start(&mut home.command("events")?)?;

    let link = home.path().join("innocent");
    symlink(&program, &link)?;
    run(Command::new("bash")
        .args(["-c", "exec -a [kworker/0:1] \"$0\" renamed"])
        .arg(&link))?;
    let event = exec_of(&sensor, "renamed")?;
    let file = fs::metadata(&program)?;
    for (field, expected) in [
        ("process.executable", program.display().to_string()),
        ("process.name", "innocent".to_owned()),
        ("tidewaiter.process.other_name", ORDINARY[0].to_owned()),
        ("tidewaiter.process.argv0", "[kworker/0:1]".to_owned()),
        ("tidewaiter.process.requested_path", link.display().to_string()),
        ("file.inode", file.ino().to_string()),
        ("file.device", format!("{}:{}", major(file.dev()), minor(file.dev()))),
        ("file.mode", format!("{:04o}", file.mode() & 0o7777)),
        ("file.owner", "root".to_owned()),
        ("tidewaiter.process.executable.links", "1".to_owned()),
        ("tidewaiter.process.executable.deleted", "false".to_owned()),
        ("tidewaiter.process.executable.in_memory", "false".to_owned()),
    ] {
        assert_eq!(event.text(field), expected, "{field}");
    }

    run(Command::new(&odd_exec)
        .arg("memory")
        .arg(&program)
        .args(["sshd", "in-memory"]))?;
    let event = exec_of(&sensor, "in-memory")?;
    assert_eq!(event.text("process.executable"), "memfd:hidden");
    assert_eq!(event.text("tidewaiter.process.executable.in_memory"), "true");
    assert_eq!(event.text("tidewaiter.process.executable.deleted"), "false");

    run(Command::new(&odd_exec)
        .arg("deleted")
        .arg(&program)
        .args(["sshd", "deleted"]))?;
    let event = exec_of(&sensor, "deleted")?;
    assert_eq!(event.text("process.executable"), program.display().to_string());
    assert_eq!(event.text("tidewaiter.process.executable.deleted"), "true");
    assert_eq!(event.text("tidewaiter.process.executable.links"), "0");

    let script = home.path().join("script");
    fs::write(&script, "#!/bin/sh\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    run(Command::new(&script).arg("scripted"))?;
    let event = exec_of(&sensor, "scripted")?;
    assert_eq!(event.text("process.name"), "script");
    assert_eq!(event.text("tidewaiter.process.script"), script.display().to_string());
    assert_eq!(
        event.text("process.executable"),
        fs::canonicalize("/bin/sh")?.display().to_string()
    );

    run(Command::new("busybox").args(["true", "applet-by-argument"]))?;
    run(Command::new("bash").args(["-c", "exec -a true busybox applet-by-name"]))?;
    for (marker, name, applet) in [
        ("applet-by-argument", "true", "true"),
        ("applet-by-name", "true", "true"),
    ] {
        let event = exec_of(&sensor, marker)?;
        assert_eq!(event.text("process.name"), name, "{marker}");
        assert_eq!(event.text("tidewaiter.process.applet"), applet, "{marker}");
    }
    Ok(())
}

#[test]
fn what_a_process_reads_and_writes_is_told_by_its_descriptors() -> Result<()> {
    let home = Home::new()?;
    let program = home.path().join(ORDINARY[0]);
    place_stand_in(&program)?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let network = TcpStream::connect(listener.local_addr()?)?;
    let (local, _other) = UnixStream::pair()?;
    let (_reader, pipe) = std::io::pipe()?;
    let file = fs::File::create(home.path().join("file"))?;
    run_with(&program, "network", OwnedFd::from(network), local)?;
    run_with(&program, "file", pipe, file)?;
    let closed = "exec \"$0\" closed <&- 2>/dev/zero";
    ensure!(
        Command::new("sh")
            .args(["-c", closed])
            .arg(&program)
            .stdout(Stdio::null())
            .status()?
            .success()
    );
    for (marker, expected) in [
        ("network", r#"["0:socket","1:unix_socket","2:null"]"#),
        ("file", r#"["0:pipe","1:file","2:null"]"#),
        ("closed", r#"["0:closed","1:null","2:device"]"#),
    ] {
        let event = exec_of(&sensor, marker)?;
        assert_eq!(event.text("tidewaiter.process.descriptors"), expected, "{marker}");
    }
    Ok(())
}

/// Runs the program with these for its descriptors 0 and 1.
fn run_with(program: &Path, marker: &str, input: impl Into<Stdio>, output: impl Into<OwnedFd>) -> Result<()> {
    let status = Command::new(program)
        .arg(marker)
        .stdin(input)
        .stdout(Stdio::from(output.into()))
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn rights_are_reported_with_where_they_come_from() -> Result<()> {
    let home = Home::new()?;
    let odd_exec = compile_static("odd_exec")?;
    let place = |name: &str| {
        let program = home.path().join(name);
        place_stand_in(&program).map(|()| program)
    };
    let (plain, set_user_id, capable) = (place("plain")?, place("set-user-id")?, place("capable")?);
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(&set_user_id, fs::Permissions::from_mode(0o4755))?;
    run(Command::new(&odd_exec).arg("capability").arg(&capable))?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let as_nobody = |program: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--groups", "7,1009"]);
        run(command.arg(program).arg("as-nobody"))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sensor.wait_for(&format!("exec of {name}"), |event| {
            (event.text("event.action") == "exec" && event.text("process.name") == name).then(|| event.clone())
        })
    };

    let event = as_nobody(&plain)?;
    for (field, expected) in [
        ("process.user.id", NOBODY),
        ("process.real_user.id", NOBODY),
        ("process.saved_user.id", NOBODY),
        ("process.supplemental_groups.id", r#"["7","1009"]"#),
        ("process.thread.capabilities.permitted", ""),
        ("tidewaiter.process.executable.set_user_id", "false"),
        ("tidewaiter.process.executable.capabilities", ""),
    ] {
        assert_eq!(event.text(field), expected, "{field}");
    }

    let event = as_nobody(&set_user_id)?;
    assert_eq!(event.text("process.user.id"), "0");
    assert_eq!(event.text("process.real_user.id"), NOBODY);
    assert_eq!(event.text("process.saved_user.id"), "0");
    assert_eq!(event.text("tidewaiter.process.executable.set_user_id"), "true");
    assert!(
        event
            .text("process.thread.capabilities.effective")
            .contains("CAP_SETUID")
    );
    assert_eq!(event.text("tidewaiter.process.executable.capabilities"), "");

    let event = as_nobody(&capable)?;
    for field in [
        "process.thread.capabilities.permitted",
        "process.thread.capabilities.effective",
        "tidewaiter.process.executable.capabilities",
    ] {
        assert_eq!(event.text(field), "CAP_NET_RAW", "{field}");
    }
    Ok(())
}

#[test]
fn a_program_that_is_not_the_images_is_distinguished_from_one_that_is() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let recorder = home.events()?;
    let sensor = home.run()?;
    engine.exec(&container, &["/usr/bin/ordinary", "of-the-image"])?;
    engine.exec(&container, &["/bin/busybox", "cp", "/usr/bin/ordinary", "/tmp/brought"])?;
    engine.exec(&container, &["/tmp/brought", "brought"])?;
    // The same name as before, and another file.
    engine.exec(&container, &["/bin/busybox", "rm", "/usr/bin/ordinary"])?;
    engine.exec(&container, &["/bin/busybox", "cp", "/tmp/brought", "/usr/bin/ordinary"])?;
    engine.exec(&container, &["/usr/bin/ordinary", "replaced"])?;
    for (marker, expected) in [("of-the-image", "false"), ("brought", "true"), ("replaced", "true")] {
        let event = exec_of(&recorder, marker)?;
        assert_eq!(
            event.text("tidewaiter.process.executable.upper_layer"),
            expected,
            "{marker}"
        );
    }
    let alerts = sensor.alerts_until_now(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    let foreign = alerts.iter().filter(|alert| alert.rule() == FOREIGN_PROGRAM);
    let paths: Vec<String> = foreign.map(|alert| alert.text("process.executable")).collect();
    assert_eq!(paths, ["/tmp/brought", "/usr/bin/ordinary"]);
    Ok(())
}

#[test]
fn a_containers_program_is_told_by_the_file_system_that_it_is_from() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let before = engine.container("before")?;
    let mut shell = engine.shell(&before)?;
    shell.type_command("/usr/bin/ordinary")?;
    let recorder = home.events()?;
    let folder = home.path().join("volume");
    fs::create_dir(&folder)?;
    place_stand_in(&folder.join("brought"))?;
    let volume = format!("{}:/volume", folder.display());
    let id = engine.run_detached(&["--volume", &volume], &["/bin/sleep", "infinity"])?;
    let container = Container {
        id,
        name: "web".to_owned(),
    };
    for place in ["/dev/brought", "/usr/bin/brought"] {
        engine.exec(&container, &["/bin/busybox", "cp", "/volume/brought", place])?;
    }
    for (marker, expected, command) in [
        ("of-the-image", "image", &["/usr/bin/ordinary"][..]),
        ("of-upper", "upper", &["/usr/bin/brought"]),
        ("of-a-volume", "volume", &["/volume/brought"]),
        ("of-dev", "tmpfs", &["/dev/brought"]),
        ("below-dev", "tmpfs", &["/bin/busybox", "chroot", "/dev", "/brought"]),
    ] {
        engine.exec(&container, &[command, &[marker]].concat())?;
        let event = exec_of(&recorder, marker)?;
        assert_eq!(event.text("container.id"), container.id, "{marker}");
        assert_eq!(event.text("tidewaiter.process.executable.origin"), expected, "{marker}");
    }
    shell.type_command("/usr/bin/ordinary from-before")?;
    let event = exec_of(&recorder, "from-before")?;
    assert_eq!(event.text("tidewaiter.process.executable.origin"), "image");
    Ok(())
}

#[test]
fn users_of_a_container_are_named_by_its_own_files_and_none_is_called_root() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let recorder = home.events()?;
    let users = "root:x:0:0::/:/bin/sh\nalice:x:4711:4711::/:/bin/sh\nroot:x:4712:4712::/:/bin/sh\n";
    engine.exec(&container, &["/bin/sh", "-c", "printf %s \"$0\" > /etc/passwd", users])?;
    // Files are read while programs run: the first may come before that.
    let deadline = Instant::now() + PATIENCE;
    let name_of = |user: &str, round: u32| {
        let marker = format!("user-{user}-{round}");
        run(&mut engine.docker(&["exec", "--user", user, &container.id, "/usr/bin/ordinary", &marker]))?;
        exec_of(&recorder, &marker)
    };
    for round in 0.. {
        let event = name_of("4711", round)?;
        assert_eq!(event.text("process.user.id"), "4711");
        if event.text("user.name") == "alice" {
            assert_eq!(event.text("process.real_user.name"), "alice");
            break;
        }
        assert!(Instant::now() < deadline, "the user has no name: {event:?}");
    }
    assert_eq!(name_of("4712", 0)?.text("user.name"), "");
    assert_eq!(name_of("0", 0)?.text("user.name"), "root");
    Ok(())
}

/// The exec of the program whose last argument is `marker`; where one program starts another, the other.
pub(crate) fn exec_of(sensor: &Sensor, marker: &str) -> Result<Document> {
    let pid = sensor.wait_for(&format!("end of `{marker}`"), |event| {
        let is_its = event
            .get("process.args")
            .and_then(|args| args.as_array()?.last()?.as_str())
            == Some(marker);
        (is_its && event.text("event.action") == "end").then(|| event.text("process.pid"))
    })?;
    let mut last = None;
    sensor.wait_for(&format!("exec of `{marker}`"), |event| {
        if event.text("process.pid") != pid {
            return None;
        }
        if event.text("event.action") == "exec" {
            last = Some(event.clone());
        }
        last.clone().filter(|_| event.text("event.action") == "end")
    })
}
