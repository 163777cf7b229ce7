//! What is tried from inside a container by somebody who has read the stock rules: of each technique, which rules tell.
//!
//! A technique that no rule can tell yet is in the tables all the same, with the reason; the test fails when it comes to
//! be told, so that the tables say what is.

mod commands;
mod escapes;
mod packages;
mod places;
mod rules;
mod servers;
mod sessions;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::image;
use tests::program::{compile_static, copy, run};
use tests::sensor::Home;

/// How a script comes into the container.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// `docker exec`.
    Exec,
    /// `docker exec -t`.
    Terminal,
    /// Typed into a shell of `docker exec -i`, so through a pipe.
    Typed,
    /// The container is started with it.
    Start,
}

enum Outcome {
    /// At least one of the rules alerts.
    Told,
    /// None does, for this reason.
    ExpectedToBeMissed(&'static str),
}

/// A technique; names are different.
struct Technique {
    name: &'static str,
    way: Way,
    script: &'static str,
    rules: &'static [&'static str],
    outcome: Outcome,
}

const fn told(name: &'static str, way: Way, script: &'static str, rules: &'static [&'static str]) -> Technique {
    Technique {
        name,
        way,
        script,
        rules,
        outcome: Outcome::Told,
    }
}

const fn missed(
    name: &'static str,
    way: Way,
    script: &'static str,
    rules: &'static [&'static str],
    reason: &'static str,
) -> Technique {
    Technique {
        name,
        way,
        script,
        rules,
        outcome: Outcome::ExpectedToBeMissed(reason),
    }
}

/// By kind.
const TABLES: [(&str, &[Technique]); 6] = [
    ("sessions", sessions::TECHNIQUES),
    ("packages", packages::TECHNIQUES),
    ("places", places::TECHNIQUES),
    ("servers", servers::TECHNIQUES),
    ("commands", commands::TECHNIQUES),
    ("escapes", escapes::TECHNIQUES),
];

/// How many `docker` commands run at once.
const AT_ONCE: usize = 4;

/// How long one of them may take.
const LIMIT: Duration = Duration::from_secs(120);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

const IMAGE: &str = "registry.example/tools/techniques:1";

/// Of the host, with their libraries: what scripts really do.
const HOST_PROGRAMS: &str = "\
    bash cat chmod cp dash dd env head install ln mawk mkdir mkfifo mv nohup perl rm script setsid sleep \
    sort tail tee timeout touch tr xargs yes";

/// Of which the name and the arguments are all that is looked at.
const STAND_INS: &str = "\
    addgroup apache2 apk apt apt-get aptitude at base64 bpftool brew cargo chattr chown chpasswd chroot \
    conda crictl crontab ctr curl debugfs df dnf docker dpkg dpkg-deb find gdb gem getcap getent go \
    gunicorn hostname id insmod ip iptables java kubectl lsblk lua5.4 mariadbd mknod modprobe mount nc \
    nc.openbsd ncat nginx nix-env nmap node npm nsenter openssl passwd php-fpm8.2 php8.2 pip3 pipx \
    postgres printenv ps python3.11 redis-server rmmod rsync ruby3.1 runc scp setcap setpriv snap socat \
    ss ssh strace su sudo sysctl systemctl tar tasksel uname unshare useradd usermod w xmrig";

#[test]
fn each_technique_is_told_by_a_rule_that_means_it() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    load_image(&home, &engine)?;
    let container = start_container(&engine)?;
    let sensor = home.run()?;
    // A file that has alerted already, for the technique that puts another into its place.
    let replaced = "cp /usr/bin/nmap /opt-replaced; /opt-replaced";
    run(&mut engine.docker(&["exec", &container.id, "/bin/sh", "-c", replaced]))?;

    let techniques: Vec<&Technique> = TABLES.iter().flat_map(|(_, table)| *table).collect();
    let names: BTreeSet<&str> = techniques.iter().map(|technique| technique.name).collect();
    assert_eq!(names.len(), techniques.len(), "two techniques have one name");
    let left = Mutex::new(techniques.iter());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    thread::scope(|scope| {
        let attempts: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(technique) = next() {
                        attempt(&engine, &container, technique).context(technique.name)?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        let mut results = attempts.into_iter().map(|attempt| attempt.join());
        results.try_for_each(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;

    let alerts = sensor.alerts_until_now(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    let mut wrong = Vec::new();
    for (kind, table) in TABLES {
        let mut number_told = 0;
        for technique in table {
            let rules = rules_of(&alerts, technique);
            let is_told = technique.rules.iter().any(|rule| rules.contains(*rule));
            number_told += usize::from(is_told);
            let is_expected = matches!(technique.outcome, Outcome::Told);
            if is_told != is_expected {
                let is = if is_told { "told" } else { "missed" };
                wrong.push(format!(
                    "{kind}, {}, is {is}; rules that alert: {rules:?}",
                    technique.name
                ));
            }
        }
        println!("{kind}: {number_told} of {} are told", table.len());
    }
    for (_, table) in TABLES {
        for technique in table {
            if let Outcome::ExpectedToBeMissed(reason) = technique.outcome {
                println!("missed: {}, {reason}", technique.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The rules that alert on what came in with the technique, which is known by the working directory of its beginning.
fn rules_of(alerts: &[Document], technique: &Technique) -> BTreeSet<String> {
    let folder = folder_of(technique);
    let own = alerts
        .iter()
        .filter(|alert| alert.text("process.entry_leader.working_directory") == folder);
    own.map(Document::rule).collect()
}

fn folder_of(technique: &Technique) -> String {
    format!("/techniques/{}", technique.name)
}

/// What a script says, and how it ends, does not matter; that it ends does.
fn attempt(engine: &Engine, container: &Container, technique: &Technique) -> Result<()> {
    let folder = folder_of(technique);
    let exec = |options: &[&str], command: &[&str]| {
        let beginning = ["exec", "--workdir", &folder];
        let mut docker = engine.docker(&[&beginning[..], options, &[&container.id], command].concat());
        docker.stdout(Stdio::null()).stderr(Stdio::null());
        docker
    };
    match technique.way {
        Way::Exec => {
            end(exec(&[], &["/bin/sh", "-c", technique.script]).spawn()?)?;
        }
        Way::Terminal => {
            end(exec(&["--tty"], &["/bin/sh", "-c", technique.script]).spawn()?)?;
        }
        Way::Typed => {
            let mut shell = exec(&["--interactive"], &["/bin/sh"]).stdin(Stdio::piped()).spawn()?;
            let mut keyboard = shell.stdin.take().context("no input")?;
            writeln!(keyboard, "{}", technique.script)?;
            drop(keyboard);
            end(shell)?;
        }
        Way::Start => {
            let options = ["run", "--network", "none", "--workdir", &folder, IMAGE];
            let mut docker = engine.docker(&[&options[..], &["/bin/sh", "-c", technique.script]].concat());
            end(docker.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)?;
        }
    }
    Ok(())
}

/// Waits for a technique, though not for ever.
fn end(mut docker: Child) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while docker.try_wait()?.is_none() {
        if Instant::now() > deadline {
            docker.kill()?;
            docker.wait()?;
            bail!("it has not ended after {LIMIT:?}");
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// With places beside the image's in which programs may be put and run, as most have them.
fn start_container(engine: &Engine) -> Result<Container> {
    let options = [
        "run",
        "--detach",
        "--network",
        "none",
        "--tmpfs",
        "/dev/shm:exec",
        "--tmpfs",
        "/run:exec",
    ];
    let mut docker = engine.docker(&options);
    docker.args(["--volume", "/data", IMAGE, "/bin/sleep", "infinity"]);
    let id = String::from_utf8(run(&mut docker)?.stdout)?.trim_end().to_owned();
    Ok(Container {
        id,
        name: "techniques".to_owned(),
    })
}

fn load_image(home: &Home, engine: &Engine) -> Result<()> {
    let folder = home.path().join("techniques");
    let root = folder.join("root");
    for name in ["bin", "dev", "etc", "root/.ssh", "tmp", "usr/bin", "var/log"] {
        fs::create_dir_all(root.join(name))?;
    }
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    for name in HOST_PROGRAMS.split_whitespace() {
        place_host_program(name, &root)?;
    }
    symlink("/usr/bin/dash", root.join("bin/sh"))?;
    symlink("/usr/bin/sleep", root.join("bin/sleep"))?;
    let actor = compile_static("actor")?;
    for name in STAND_INS.split_whitespace() {
        copy(&actor, &root.join("usr/bin").join(name))?;
    }
    copy(&compile_static("odd_exec")?, &root.join("usr/bin/odd-exec"))?;
    image::place_stand_in(&root.join("usr/bin").join(image::FENCE))?;
    for file in [
        "etc/passwd",
        "etc/shadow",
        "root/.bash_history",
        "root/.ssh/id_ed25519",
        "var/log/wtmp",
    ] {
        fs::write(root.join(file), "root:x:0:0:root:/root:/bin/sh\n")?;
    }
    for (_, table) in TABLES {
        for technique in table {
            fs::create_dir_all(root.join(&folder_of(technique)[1..]))?;
        }
    }
    let archive = image::pack(&root, IMAGE, &[], &folder)?;
    run(engine.docker(&["load", "--input"]).arg(&archive))?;
    Ok(())
}

/// A program and the libraries that it is loaded with, in their places.
fn place_host_program(name: &str, root: &Path) -> Result<()> {
    let program = Path::new("/usr/bin").join(name);
    copy(&program, &root.join("usr/bin").join(name))?;
    let libraries = String::from_utf8(run(Command::new("ldd").arg(&program))?.stdout)?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(&library[1..]);
        if !place.exists() {
            fs::create_dir_all(place.parent().context("a library lies in a folder")?)?;
            copy(Path::new(library), &place)?;
        }
    }
    Ok(())
}
