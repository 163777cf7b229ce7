//! Processes that are made to confuse a sensor: the event is there, says what is so, and says what it does not know.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::document::Document;
use tests::engine::Engine;
use tests::image::place_stand_in;
use tests::lines::PATIENCE;
use tests::program::{compile_static, copy, run};
use tests::sensor::{Home, Sensor};

/// A recorder of all events, and a folder for programs whose paths nobody else has.
struct Scene {
    sensor: Sensor,
    hostile: PathBuf,
    /// Without symlinks, as the sensor reports it.
    folder: PathBuf,
    _home: Home,
}

/// As much of the arguments as can be asked for, and room for all that happens on a busy machine.
const WHOLE_ARGUMENTS: &str = "\n[kernel]\narguments_limit_bytes = 1048576\nring_buffer_bytes = 67108864\n";
const ROOM_FOR_ALL: &str = "\n[kernel]\nring_buffer_bytes = 67108864\n";

impl Scene {
    fn new() -> Result<Self> {
        let home = home_with(WHOLE_ARGUMENTS)?;
        let folder = home.path().join("programs");
        fs::create_dir(&folder)?;
        Ok(Self {
            sensor: Sensor::start(&mut home.command("events")?)?,
            hostile: compile_static("hostile")?,
            folder: folder.canonicalize()?,
            _home: home,
        })
    }

    /// A program that ends at once, under a name of its own.
    fn program(&self, name: impl AsRef<OsStr>) -> Result<PathBuf> {
        let program = self.folder.join(name.as_ref());
        place_stand_in(&program)?;
        Ok(program)
    }

    fn hostile(&self, way: &str) -> Command {
        let mut command = Command::new(&self.hostile);
        command.arg(way);
        command
    }

    /// The exec of the program at this path.
    fn exec_of(&self, executable: &str) -> Result<Document> {
        self.exec_where(executable, |event| event.text("process.executable") == executable)
    }

    fn exec_where(&self, what: &str, is_it: impl Fn(&Document) -> bool) -> Result<Document> {
        self.sensor.wait_for(&format!("exec of `{what}`"), |event| {
            (event.text("event.action") == "exec" && is_it(event)).then(|| event.clone())
        })
    }

    /// Ends the recorder; all its events.
    fn all_events(self) -> Result<Vec<Document>> {
        let fence = self.program("last")?;
        run(&mut Command::new(&fence))?;
        self.exec_of(&fence.to_string_lossy())?;
        let (output, diagnostics) = (self.sensor.output.clone(), self.sensor.diagnostics.clone());
        self.sensor.stop()?;
        let said = diagnostics.wait_for_end()?.join("\n");
        ensure!(!said.contains("lost"), "{said}");
        output
            .wait_for_end()?
            .iter()
            .map(|line| Document::parse(line))
            .collect()
    }
}

fn home_with(section: &str) -> Result<Home> {
    let home = Home::new()?;
    let config = fs::read_to_string(home.config())?;
    fs::write(home.config(), config + section)?;
    Ok(home)
}

fn is_complete(event: &Document) -> bool {
    event.text("tidewaiter.process.arguments_complete") == "true"
}

#[test]
fn bytes_that_are_no_text_and_escapes_arrive_as_far_as_json_can_hold_them() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program(OsStr::from_bytes(b"\x1b[31m\xff\nname"))?;
    let arguments: [&[u8]; 5] = [b"", b"\xff\xfe", b"\x1b]0;title\x07", b"two\nlines\r", b""];
    let directory = scene.folder.join(OsStr::from_bytes(b"\x1b[2J\xc3\n"));
    fs::create_dir(&directory)?;
    run(Command::new(&program)
        .args(arguments.map(OsStr::from_bytes))
        .current_dir(&directory))?;

    let executable = format!("{}/\u{1b}[31m\u{fffd}\nname", scene.folder.display());
    let event = scene.exec_of(&executable)?;
    assert_eq!(event.text("process.name"), "\u{1b}[31m\u{fffd}\nname");
    let expected = ["", "\u{fffd}\u{fffd}", "\u{1b}]0;title\u{7}", "two\nlines\r", ""];
    let seen = event
        .get("process.args")
        .and_then(|args| args.as_array())
        .context("no arguments")?;
    assert_eq!(seen[1..], expected);
    assert_eq!(event.text("process.args_count"), "6");
    let directory = format!("{}/\u{1b}[2J\u{fffd}\n", scene.folder.display());
    assert_eq!(event.text("process.working_directory"), directory);
    assert!(is_complete(&event));
    Ok(())
}

#[test]
fn a_program_without_arguments_or_with_an_empty_name_is_known_by_its_file() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program("nameless")?;
    run(scene.hostile("without-arguments").arg(&program))?;
    let event = scene.exec_of(&program.to_string_lossy())?;
    assert_eq!(event.text("process.name"), "nameless");
    // From Linux 5.18 on the kernel puts an empty one there.
    assert!(["", "[]"].contains(&event.text("process.args").as_str()), "{event:?}");
    assert!(is_complete(&event));
    Ok(())
}

#[test]
fn arguments_that_change_while_the_kernel_takes_them_are_reported_as_the_program_got_them() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.folder.join("reports-its-arguments");
    copy(&scene.hostile, &program)?;
    let report = scene.folder.join("report");
    // Whether a change meets the kernel's copying is a matter of luck.
    let deadline = Instant::now() + PATIENCE;
    let (mut tries, mut differing) = (0, 0);
    while tries < 20 || differing == 0 {
        assert!(
            Instant::now() < deadline,
            "the arguments never changed while they were taken"
        );
        tries += 1;
        fs::write(&report, "")?;
        run(Command::new(&program).arg("changing").arg(&report))?;
        let really = fs::read_to_string(&report)?;
        let first = really.as_bytes()[0];
        differing += usize::from(really.bytes().any(|byte| byte != first));
        let event = scene.exec_where("the program with the arguments that it reported", |event| {
            event.get("process.args").and_then(|args| args.get(3)?.as_str()) == Some(&really)
        })?;
        assert!(is_complete(&event));
    }
    Ok(())
}

#[test]
fn deep_and_long_paths_are_whole_up_to_the_kernels_limit_and_somewhat_beyond() -> Result<()> {
    let scene = Scene::new()?;
    // 100 levels.
    let levels = scene.folder.join(["d"; 100].join("/"));
    fs::create_dir_all(&levels)?;
    let program = levels.join("deep");
    place_stand_in(&program)?;
    run(Command::new(&program).current_dir(&levels))?;
    let event = scene.exec_of(&program.to_string_lossy())?;
    assert_eq!(event.text("process.working_directory"), levels.to_string_lossy());

    // The longest path that the kernel takes: 4,095 bytes.
    let longest = longest_path(&scene.folder);
    fs::create_dir_all(longest.parent().context("it is in a folder")?)?;
    place_stand_in(&longest)?;
    run(&mut Command::new(&longest))?;
    scene.exec_of(&longest.to_string_lossy())?;

    // Longer ones are reached step by step.
    let further = "f".repeat(250);
    let program = scene.program("above")?;
    let mut command = scene.hostile("further-down");
    run(command
        .arg(&further)
        .arg(&program)
        .current_dir(longest.parent().context("it is in a folder")?))?;
    let event = scene.exec_where("the program beyond", |event| event.text("process.name") == "beyond")?;
    let executable = event.text("process.executable");
    let folder = longest.parent().context("it is in a folder")?;
    assert_eq!(executable, folder.join(&further).join("beyond").to_string_lossy());
    assert_eq!(event.text("tidewaiter.process.executable.path_cut"), "false");
    Ok(())
}

/// A path of 4,095 bytes whose last part is not the longest.
fn longest_path(folder: &Path) -> PathBuf {
    const LENGTH: usize = 4095;
    let mut path = folder.to_path_buf();
    while path.as_os_str().len() + 2 * 256 < LENGTH {
        path.push("l".repeat(255));
    }
    let left = LENGTH - path.as_os_str().len() - 1;
    path.push("m".repeat(left / 2));
    path.push("n".repeat(left - left / 2 - 1));
    path
}

#[test]
fn a_working_directory_that_is_gone_keeps_its_name() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program("homeless")?;
    let gone = scene.folder.join("gone");
    let leave = r#"mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2""#;
    run(Command::new("sh").args(["-c", leave, "sh"]).arg(&gone).arg(&program))?;
    let event = scene.exec_of(&program.to_string_lossy())?;
    assert_eq!(event.text("process.working_directory"), gone.to_string_lossy());
    Ok(())
}

#[test]
fn a_program_on_a_mount_that_is_gone_is_known_by_its_name() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program("unmoored")?;
    let leave =
        r#"mount -t tmpfs none "$1" && cp "$2" "$1" && cd "$1" && umount --lazy "$1" && exec ./unmoored marker"#;
    let place = scene.folder.join("mount");
    fs::create_dir(&place)?;
    run(Command::new("unshare")
        .args(["--mount", "sh", "-c", leave, "sh"])
        .arg(&place)
        .arg(&program))?;
    let event = scene.exec_where("the program without a mount", |event| {
        event.text("process.args") == r#"["./unmoored","marker"]"#
    })?;
    assert_eq!(event.text("process.name"), "unmoored");
    assert_eq!(event.text("process.executable"), ".../unmoored");
    assert_eq!(event.text("tidewaiter.process.executable.path_cut"), "true");
    Ok(())
}

const EXECUTABLE: &str = "process.executable";
const IN_CONTAINER: &str = "tidewaiter.process.executable.path_in_container";
const IN_CONTAINER_CUT: &str = "tidewaiter.process.executable.path_in_container_cut";

#[test]
fn below_another_root_a_program_is_known_by_both_its_paths() -> Result<()> {
    let home = home_with(WHOLE_ARGUMENTS)?;
    let folder = home.path().canonicalize()?;
    let root = folder.join("root");
    fs::create_dir_all(root.join("bin/deep"))?;
    copy(Path::new("/bin/busybox"), &root.join("bin/sleep"))?;
    let chroot = |root: &Path, program: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(root).args(program);
        command
    };
    // Before the sensor is there, and while it is.
    let mut before = chroot(&root, &["/bin/sleep", "1000"]).spawn()?;
    let is_sleeping = || {
        let arguments = fs::read(format!("/proc/{}/cmdline", before.id()));
        arguments.is_ok_and(|arguments| arguments.starts_with(b"/bin/sleep"))
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_sleeping() {
        assert!(Instant::now() < deadline, "nothing runs below the other root");
    }
    let sensor = Sensor::start(&mut home.command("events")?)?;
    let paths = |event: &Document| [EXECUTABLE, IN_CONTAINER, IN_CONTAINER_CUT].map(|field| event.text(field));
    let seen = |action: &str, argument: &str| {
        sensor.wait_for(&format!("{action} of a program with `{argument}`"), |event| {
            let is_it = event.text("event.action") == action && event.text("process.args").contains(argument);
            (is_it && event.text("process.name") == "sleep").then(|| event.clone())
        })
    };
    let sleep = root.join("bin/sleep").display().to_string();
    before.kill()?;
    before.wait()?;
    assert_eq!(paths(&seen("end", "1000")?), ["/bin/sleep", &sleep, "false"]);

    run(&mut chroot(&root, &["/bin/sleep", "0.001"]))?;
    assert_eq!(paths(&seen("exec", "0.001")?), ["/bin/sleep", &sleep, "false"]);
    // The ordinary root, and a program that lies outside of the one that its process has.
    run(Command::new(root.join("bin/sleep")).arg("0.002"))?;
    assert_eq!(paths(&seen("exec", "0.002")?), [&sleep, "", ""]);
    let outside = r#"chroot "bin/deep" or die; exec "bin/sleep", "0.003""#;
    run(Command::new("perl").args(["-e", outside]).current_dir(&root))?;
    assert_eq!(paths(&seen("exec", "0.003")?), [&sleep, "", ""]);
    // A root within another one is told from the first.
    copy(&root.join("bin/sleep"), &root.join("bin/deep/sleep"))?;
    let twice = r#"chroot $_ or die for @ARGV; chdir "/"; exec "/sleep", "0.004""#;
    run(Command::new("perl").args(["-e", twice]).arg(&root).arg("/bin/deep"))?;
    let deeper = root.join("bin/deep/sleep").display().to_string();
    assert_eq!(paths(&seen("exec", "0.004")?), ["/sleep", &deeper, "false"]);

    // However deep it is, and where it lies in no place that the process could see.
    let name = "n".repeat(200);
    let deep = format!(
        r#"for (1..40) {{ mkdir "{name}"; chdir "{name}" or die }}
        system("cp", $ARGV[0], ".") and die; chroot "." or die; exec "/sleep", "0.005""#
    );
    run(Command::new("perl").args(["-e", &deep, &sleep]).current_dir(&root))?;
    let [executable, in_container, cut] = paths(&seen("exec", "0.005")?);
    assert_eq!((executable.as_str(), cut.as_str()), ("/sleep", "true"));
    let (begin, end) = in_container.split_once("/.../").context("nothing is left out")?;
    assert!(begin.starts_with(&format!("{}/{name}/", root.display())), "{begin}");
    assert!(end.ends_with(&format!("{name}/{name}/sleep")), "{end}");
    let elsewhere = r#"mount --bind "$1" "$1" && cd "$1" && umount --lazy "$1" && exec chroot . /bin/sleep 0.006"#;
    run(Command::new("unshare")
        .args(["--mount", "sh", "-c", elsewhere, "sh"])
        .arg(&root))?;
    assert_eq!(
        paths(&seen("exec", "0.006")?),
        ["/bin/sleep", ".../root/bin/sleep", "true"]
    );
    Ok(())
}

#[test]
fn a_program_from_memory_is_named_as_that() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program("source")?;
    run(scene.hostile("from-memory").arg(&program).arg("marker-of-memory"))?;
    let event = scene.exec_where("the program from memory", |event| {
        event.text("process.executable") == "memfd:hidden"
    })?;
    assert!(event.text("process.args").contains("marker-of-memory"), "{event:?}");
    Ok(())
}

#[test]
fn pid_namespaces_may_be_nested_as_deep_as_the_kernel_allows() -> Result<()> {
    // The kernel allows 32 below the first.
    const DEEPEST: usize = 32;
    let scene = Scene::new()?;
    let program = scene.program("innermost")?;
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]);
    for _ in 1..DEEPEST {
        command.args(["unshare", "--pid", "--fork"]);
    }
    run(command.arg(&program))?;
    let event = scene.exec_of(&program.to_string_lossy())?;
    assert_eq!(event.text("process.vpid"), "1");
    assert_ne!(event.text("process.pid"), "1");
    Ok(())
}

#[test]
fn of_programs_that_are_killed_while_they_start_every_begin_has_an_end() -> Result<()> {
    let scene = Scene::new()?;
    let program = scene.program("short-lived")?;
    let executable = program.to_string_lossy().into_owned();
    run(scene.hostile("killed-at-exec").arg(&program))?;
    let events = scene.all_events()?;

    let hostile = events
        .iter()
        .find(|event| event.text("process.args").contains("killed-at-exec"))
        .context("the program that kills was not seen")?;
    let children = |action: &str| {
        let is_child = |event: &&Document| {
            event.text("event.action") == action
                && event.text("process.parent.entity_id") == hostile.text("process.entity_id")
        };
        events.iter().filter(is_child).collect::<Vec<_>>()
    };
    assert_eq!(children("fork").len(), 200);
    assert_eq!(children("end").len(), 200);
    let execs = children("exec");
    assert!(!execs.is_empty(), "all were killed before their exec");
    for exec in execs {
        assert_eq!(exec.text("process.executable"), executable);
        let arguments = exec.get("process.args").and_then(Value::as_array);
        let arguments = arguments.context("no arguments")?.iter().skip(1);
        let seen: usize = arguments.filter_map(Value::as_str).map(str::len).sum();
        assert_eq!(is_complete(exec), seen == 3 * 10_000, "{seen} of 30,000 bytes");
    }
    Ok(())
}

#[test]
fn a_container_that_uses_up_its_processes_hides_nothing() -> Result<()> {
    // 2 + 4 + .. + 128.
    const CHILDREN_OF_THE_BOMB: usize = 254;
    let home = home_with(ROOM_FOR_ALL)?;
    let engine = Engine::start(&home)?;
    let limited = ["--name", "limited", "--pids-limit", "300"];
    let container = tests::engine::Container {
        id: engine.run_detached(&limited, &["/bin/sleep", "infinity"])?,
        name: "limited".to_owned(),
    };
    let hostile = compile_static("hostile")?;
    run(engine
        .docker(&["cp"])
        .arg(&hostile)
        .arg(format!("{}:/hostile", container.id)))?;
    let sensor = home.events()?;

    engine.exec(&container, &["/hostile", "bomb", "7"])?;
    let output = run(&mut engine.docker(&["exec", &container.id, "/hostile", "until-no-more"]))?;
    let given: usize = String::from_utf8(output.stdout)?.trim_end().parse()?;
    assert!(given > 200, "{given} processes");
    engine.exec(&container, &["/usr/bin/fence", "after-all"])?;
    sensor.wait_for("the program after all", |event| {
        event.text("process.args").contains("after-all").then_some(())
    })?;

    let output = sensor.output.clone();
    let diagnostics = sensor.diagnostics.clone();
    sensor.stop()?;
    let events: Vec<Document> = output
        .wait_for_end()?
        .iter()
        .map(|line| Document::parse(line))
        .collect::<Result<_>>()?;
    let count = |action: &str, name: &str, argument: &str| {
        let is_it = |event: &&Document| {
            event.text("event.action") == action
                && event.text("process.name") == name
                && event.text("process.args").contains(argument)
        };
        events.iter().filter(is_it).count()
    };
    assert_eq!(count("fork", "hostile", "bomb"), CHILDREN_OF_THE_BOMB);
    // With the first one, which docker started.
    assert_eq!(count("end", "hostile", "bomb"), CHILDREN_OF_THE_BOMB + 1);
    assert_eq!(count("exec", "sleep", "1000"), given);
    assert_eq!(count("end", "sleep", "1000"), given);
    let said = diagnostics.wait_for_end()?.join("\n");
    assert!(!said.contains("lost"), "{said}");
    Ok(())
}
