//! Every way into a container and every way to start a program there, with the real programs: what counts as
//! interactive is who has the controlling terminal on descriptors 0 and 2, or is in the session of one who has.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::image::place_stand_in;
use tests::program::run;
use tests::sensor::{Home, Sensor};
use tests::terminal::Terminal;

/// What an event says of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// In the session of somebody at a terminal, which its input and its errors are.
    OnTerminal,
    /// The same, but its input or its errors go elsewhere.
    Redirected,
    /// It has a controlling terminal, and nobody in its session has input and errors there.
    Idle,
    /// It has no controlling terminal.
    Detached,
}
use Seen::{Detached, OnTerminal, Redirected};

/// Typed into a shell that `docker exec -it` opened. `MARK` stands for a program with the case's name.
const TYPED: [(&str, &str, Seen); 21] = [
    ("docker-exec-it", "MARK", OnTerminal),
    ("background-of-a-shell", "MARK & wait", OnTerminal),
    // Without job control a shell takes the input away from what it starts in the background.
    ("background-of-a-script", "sh -c 'MARK & wait'", Redirected),
    ("nohup", "nohup MARK", Redirected),
    ("nohup-in-the-background", "nohup MARK & wait", Redirected),
    // Its descriptors are the terminal's still, but the terminal is not its session's.
    ("setsid", "setsid --wait MARK", Detached),
    ("input-from-a-file", "MARK < /etc/passwd", Redirected),
    ("input-from-a-pipe", "echo yes | MARK", Redirected),
    ("output-to-a-file", "MARK > /tmp/output", OnTerminal),
    ("output-to-a-pipe", "MARK | cat", OnTerminal),
    ("errors-to-a-file", "MARK 2> /tmp/errors", Redirected),
    ("all-elsewhere", "MARK < /dev/null > /tmp/output 2>&1", Redirected),
    ("dev-tty", "MARK < /dev/tty 2> /dev/tty", OnTerminal),
    ("a-shell-in-the-shell", "bash -c 'MARK; :'", OnTerminal),
    ("script", "script --quiet --command MARK /dev/null", OnTerminal),
    (
        "script-without-a-terminal",
        "setsid --wait script --quiet --command MARK /dev/null < /dev/null",
        OnTerminal,
    ),
    ("tmux", "tmux -u -L one new-session -d MARK", OnTerminal),
    ("su-command", "su --command MARK", OnTerminal),
    ("su-session-command", "su --session-command MARK", OnTerminal),
    ("ssh-with-a-terminal", "SSH -t 127.0.0.1 MARK", OnTerminal),
    ("ssh", "SSH -T 127.0.0.1 MARK", Detached),
];

const SSH: &str = "dbclient -y -y -i /tmp/identity";
/// The server is ready when this ends; it listens in the container's network alone.
const START_SSH_SERVER: &str = "dropbearkey -t ed25519 -f /tmp/host-key && dropbearkey -t ed25519 -f /tmp/identity && \
     mkdir -m 700 -p /root/.ssh && dropbearkey -y -f /tmp/identity | grep ^ssh- > /root/.ssh/authorized_keys && \
     chmod 600 /root/.ssh/authorized_keys && /usr/sbin/dropbear -r /tmp/host-key -p 127.0.0.1:22";

/// Started outside of the container, on a terminal there. `ID` is the container's, `EXEC` the engine's folder.
const FROM_OUTSIDE: [(&str, &str, Seen); 5] = [
    ("docker-exec-t", "docker exec -t ID MARK", OnTerminal),
    ("docker-exec-i", "docker exec -i ID MARK", Detached),
    ("docker-exec", "docker exec ID MARK", Detached),
    (
        "runc-exec",
        "runc --root EXEC/runtime-runc/moby exec --tty ID MARK",
        OnTerminal,
    ),
    // As a kubelet asks containerd to do for `kubectl exec -it`.
    (
        "containerd-exec",
        "ctr --address EXEC/containerd/containerd.sock --namespace moby task exec --exec-id one --tty ID MARK",
        OnTerminal,
    ),
];

/// Typed into the login shell of `su -`.
const SU_LOGIN: &str = "su-login";

/// The host's programs in a container; its users are its own.
const HOST_FOLDERS: [&str; 3] = ["/usr", "/lib", "/lib64"];
const ACCOUNT_FILES: [(&str, &str); 4] = [
    ("shadow", "root:*:19000:0:99999:7:::\n"),
    ("shells", "/bin/sh\n"),
    ("pam.d/su", ROOT_MAY),
    ("pam.d/su-l", ROOT_MAY),
];
const ROOT_MAY: &str =
    "auth sufficient pam_rootok.so\naccount required pam_permit.so\nsession required pam_permit.so\n";

#[test]
fn a_program_is_interactive_exactly_if_its_sessions_leader_or_itself_is_at_the_terminal_whoever_started_it()
-> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container_with_host_programs(&home, &engine)?;
    let sensor = home.events()?;

    let mut shell = Terminal::open(&engine.docker(&["exec", "-it", &container.id, "/usr/bin/bash", "--norc"]))?;
    for (name, command, _) in TYPED {
        shell.type_command(&command.replace("SSH", SSH).replace("MARK", &program(name)))?;
    }
    // What is typed next is read by the shell that it starts.
    shell.type_line("su -")?;
    shell.type_command(&program(SU_LOGIN))?;
    shell.type_line("exit")?;
    shell.leave()?;

    let engine_folder = home.engine().join("exec");
    for (name, command, _) in FROM_OUTSIDE {
        let command = command
            .replace("ID", &container.id)
            .replace("EXEC", &engine_folder.to_string_lossy())
            .replace("MARK", &program(name));
        let mut shell = engine.docker(&[]);
        let mut outside = engine.beside("/bin/sh");
        outside.envs(
            shell
                .env("PS1", "")
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let mut outside = Terminal::open(&outside)?;
        outside.type_command(&command)?;
        outside.leave()?;
    }

    let cases = TYPED.iter().chain(&FROM_OUTSIDE).map(|(name, _, seen)| (*name, *seen));
    let expected: Vec<(&str, Seen)> = cases.chain([(SU_LOGIN, OnTerminal)]).collect();
    let seen = expected.iter().map(|(name, _)| Ok((*name, seen(&sensor, name)?)));
    assert_eq!(seen.collect::<Result<Vec<_>>>()?, expected);
    let login = exec_of(&sensor, SU_LOGIN)?;
    assert_eq!(
        login.text("process.parent.args"),
        "-sh",
        "the login shell was not the one that read"
    );
    Ok(())
}

fn program(name: &str) -> String {
    format!("/mark/{name}")
}

fn container_with_host_programs(home: &Home, engine: &Engine) -> Result<Container> {
    let mounts = HOST_FOLDERS.map(|folder| format!("--volume={folder}:{folder}:ro"));
    let options: Vec<&str> = mounts
        .iter()
        .map(String::as_str)
        .chain(["--name", "sessions"])
        .collect();
    let container = Container {
        id: engine.run_detached(&options, &["/bin/sleep", "infinity"])?,
        name: "sessions".to_owned(),
    };

    let etc = home.path().join("etc");
    fs::create_dir_all(etc.join("pam.d"))?;
    for (name, text) in ACCOUNT_FILES {
        fs::write(etc.join(name), text)?;
    }
    let copy_in = |from: &Path| run(engine.docker(&["cp"]).arg(from).arg(format!("{}:/", container.id)));
    copy_in(&etc)?;

    // Each a file of its own, so that each has a name of its own.
    let marks = home.path().join("mark");
    fs::create_dir(&marks)?;
    let names = TYPED.iter().chain(&FROM_OUTSIDE).map(|(name, _, _)| *name);
    for name in names.chain([SU_LOGIN]) {
        place_stand_in(&marks.join(name))?;
    }
    copy_in(&marks)?;
    engine.exec(&container, &["/usr/bin/bash", "-c", START_SSH_SERVER])?;
    Ok(container)
}

/// What the exec of the program with this name says.
fn seen(sensor: &Sensor, name: &str) -> Result<Seen> {
    let event = exec_of(sensor, name)?;
    let has_terminal = event.get("process.tty.char_device.major").is_some();
    let is = |field| event.text(field) == "true";
    let at_terminal = is("tidewaiter.process.on_terminal");
    Ok(match (is("process.interactive"), at_terminal, has_terminal) {
        (true, true, _) => OnTerminal,
        (true, false, _) => Redirected,
        (false, _, true) => Seen::Idle,
        (false, _, false) => Detached,
    })
}

fn exec_of(sensor: &Sensor, name: &str) -> Result<Document> {
    sensor.wait_for(&format!("exec of `{name}`"), |event| {
        let is_it = event.text("event.action") == "exec" && event.text("process.executable") == program(name);
        is_it.then(|| event.clone())
    })
}
