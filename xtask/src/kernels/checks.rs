//! What has to be true of the sensor's output, whatever the kernel. The scenario is in `guest/`; a program's last
//! argument names it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// A row of the table.
pub(crate) type NamedCheck = (&'static str, fn(&Evidence) -> Result<()>);

/// In the order of the table.
pub(crate) const CHECKS: [NamedCheck; 21] = [
    ("loads, attaches, ends well", loads),
    ("doctor finds nothing missing", doctor),
    ("executable behind a symlink, arguments, directory", fields),
    ("parent and session", lineage),
    ("script", script),
    ("1 MiB of arguments", long_arguments),
    ("exit codes and signals", exit_codes),
    ("credentials, also of a set-user-ID program", credentials),
    ("file, capabilities and groups of what runs", identity),
    ("environment, only what is listed", environment),
    ("threads are no processes", threads),
    ("process id in a pid namespace", pid_namespace),
    ("processes from before, in a pid namespace", before_in_pid_namespace),
    ("paths across mounts and in another root", paths),
    ("interactive on a pseudo-terminal, and only there", interactive),
    ("container of every cgroup hierarchy", containers),
    ("a container of runc, and one on a terminal", containers_of_runc),
    ("a stock rule's alert", alert),
    ("every record received or counted as lost", losses),
    ("busy, with real-time load: every exec, its own user", busy),
    ("the kernel side's own lines, when asked for", lines),
];

/// A rule that fires on what `guest/container-session.sh` does.
const TOOL_RULE: &str = "95774bc6-aeb6-5114-a8ff-62de5a744c76";

/// What the sensor wrote in one virtual machine.
pub(crate) struct Evidence {
    folder: PathBuf,
    pub(crate) events: Vec<Value>,
    pub(crate) alerts: Vec<Value>,
}

impl Evidence {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        Ok(Evidence {
            folder: folder.to_owned(),
            events: documents(&folder.join("events.stdout"))?,
            alerts: documents(&folder.join("run.stdout"))?,
        })
    }

    /// How long loading took, in milliseconds.
    pub(crate) fn load_ms(&self) -> String {
        let log = self.text("events.stderr").unwrap_or_default();
        let load = between(&log, "the kernel side is attached after ", " ms");
        load.unwrap_or("-").to_owned()
    }

    /// How many instructions of each program the verifier looked at; empty where the kernel does not report it.
    pub(crate) fn verified(&self) -> Vec<(String, u64)> {
        let log = self.text("events.stderr").unwrap_or_default();
        let in_line = |line| {
            let program = between(line, "the verifier passed `", "`")?;
            let count = between(line, "` after ", " instructions")?;
            Some((program.to_owned(), count.parse().ok()?))
        };
        log.lines().filter_map(in_line).collect()
    }

    pub(crate) fn text(&self, name: &str) -> Result<String> {
        let file = self.folder.join(name);
        fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))
    }

    /// The last exec whose last argument is `marker`: where one program starts another, the other.
    fn exec(&self, marker: &str) -> Result<&Value> {
        self.last("exec", marker)
    }

    fn last(&self, action: &str, marker: &str) -> Result<&Value> {
        self.events
            .iter()
            .rev()
            .find(|event| event["event"]["action"] == action && last_argument(event) == Some(marker))
            .with_context(|| {
                format!(
                    "no {action} of the program called with `{marker}`, but {}",
                    self.programs(action)
                )
            })
    }

    /// Who did what is asked for, for the message of a check that fails.
    fn programs(&self, action: &str) -> String {
        let events = self.events.iter().filter(|event| event["event"]["action"] == action);
        let programs = events.map(|event| {
            let last: String = last_argument(event).unwrap_or("-").chars().take(40).collect();
            format!("{} ({last})", event["process"]["name"].as_str().unwrap_or("-"))
        });
        programs.collect::<Vec<_>>().join(", ")
    }

    /// How many records the kernel side made, how many arrived, how many were lost.
    fn record_counts(&self, name: &str) -> Result<(u64, u64, u64)> {
        let log = self.text(name)?;
        let number = |begin, end| {
            let text = between(&log, begin, end).with_context(|| format!("`{name}` does not tell the counts"))?;
            text.parse::<u64>().with_context(|| format!("`{text}` is no count"))
        };
        Ok((
            number("the kernel side made ", " records; ")?,
            number(" records; ", " were received")?,
            number(" were received and ", " lost")?,
        ))
    }
}

fn loads(evidence: &Evidence) -> Result<()> {
    for name in ["events", "run", "busy", "losses"] {
        let status = evidence.text(&format!("{name}.status"))?;
        ensure!(
            status.trim() == "0",
            "`{name}` ended with {}: {}",
            status.trim(),
            evidence.text(&format!("{name}.stderr"))?
        );
    }
    Ok(())
}

fn doctor(evidence: &Evidence) -> Result<()> {
    let status = evidence.text("doctor.status")?;
    ensure!(status.trim() == "0", "{}", evidence.text("doctor.stdout")?);
    Ok(())
}

fn fields(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("fields")?;
    let session = event["process"]["args"][1].clone();
    expect(event, "/process/args", json!(["/bin/true", session, "fields"]))?;
    expect(event, "/process/executable", json!("/bin/busybox"))?;
    expect(event, "/process/name", json!("true"))?;
    expect(event, "/process/working_directory", json!("/trial"))
}

fn lineage(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("fields")?;
    let shell = event["process"]["args"][1].as_str().context("no arguments")?;
    let shell: u64 = shell.parse()?;
    expect(event, "/process/parent/pid", json!(shell))?;
    expect(event, "/process/session_leader/pid", json!(shell))?;
    expect(event, "/process/parent/name", json!("scenario.sh"))
}

fn script(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("script")?;
    expect(event, "/process/name", json!("script.sh"))?;
    expect(event, "/process/executable", json!("/bin/busybox"))
}

fn long_arguments(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("long-arguments")?;
    let arguments = event["process"]["args"].as_array().context("no arguments")?;
    ensure!(arguments.len() == 106, "{} arguments instead of 106", arguments.len());
    let padding = "x".repeat(10_000);
    for (number, argument) in arguments[1..105].iter().enumerate() {
        ensure!(
            *argument == format!("{number}-{padding}"),
            "argument {number} did not arrive whole"
        );
    }
    expect(event, "/tidewaiter/process/arguments_complete", json!(true))
}

fn exit_codes(evidence: &Evidence) -> Result<()> {
    expect(evidence.last("end", "exit-3")?, "/process/exit_code", json!(3))?;
    expect(evidence.last("end", "killed")?, "/process/exit_code", json!(128 + 9))
}

fn credentials(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("as-nobody")?;
    expect(event, "/user/id", json!("65534"))?;
    expect(event, "/process/real_user/id", json!("65534"))?;
    let event = evidence.exec("set-user-id")?;
    expect(event, "/user/id", json!("0"))?;
    expect(event, "/process/real_user/id", json!("65534"))
}

fn identity(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("set-user-id")?;
    expect(event, "/file/mode", json!("4755"))?;
    expect(event, "/file/uid", json!("0"))?;
    let executable = "/tidewaiter/process/executable";
    expect(event, &format!("{executable}/set_user_id"), json!(true))?;
    expect(event, &format!("{executable}/links"), json!(1))?;
    expect(event, &format!("{executable}/deleted"), json!(false))?;
    let effective = "/process/thread/capabilities/effective";
    let capabilities = event.pointer(effective).and_then(Value::as_array);
    ensure!(
        capabilities.is_some_and(|names| names.contains(&json!("CAP_SYS_ADMIN"))),
        "{effective} is {capabilities:?}"
    );
    let event = evidence.exec("as-nobody")?;
    expect(event, effective, Value::Null)?;
    expect(event, "/process/supplemental_groups/id", json!("65534"))
}

fn environment(evidence: &Evidence) -> Result<()> {
    let mut alerts = evidence.alerts.iter();
    let alert = alerts
        .find(|alert| alert["kibana.alert.rule.name"] == "Environment")
        .context("the rule that reads the environment gave none")?;
    expect(alert, "/process/env_vars", json!(["HISTFILE=/of/the/scenario"]))?;
    let event = evidence.exec("environment")?;
    expect(event, "/process/env_vars", Value::Null)
}

/// The other sensor is the program with threads.
fn threads(evidence: &Evidence) -> Result<()> {
    let pid = &evidence.exec("/guest/own-state.toml")?["process"]["pid"];
    let count = |action: &str, pointer: &str| {
        let events = evidence.events.iter();
        events
            .filter(|event| event["event"]["action"] == action && event.pointer(pointer) == Some(pid))
            .count()
    };
    let begun = count("fork", "/process/parent/pid");
    ensure!(begun == 0, "{begun} forks by a program that only starts threads");
    let ended = count("end", "/process/pid");
    ensure!(ended == 1, "{ended} ends of one process");
    Ok(())
}

fn pid_namespace(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("in-pid-namespace")?;
    expect(event, "/process/vpid", json!(1))?;
    ensure!(event["process"]["pid"] != 1, "the pid is that of the namespace");
    Ok(())
}

/// The sensor is in a pid namespace with who starts the program, which ran before it.
fn before_in_pid_namespace(evidence: &Evidence) -> Result<()> {
    let events = documents(&evidence.folder.join("below.stdout"))?;
    let event = events.iter().find(|event| last_argument(event) == Some("below"));
    let event = event.context("there is no exec of the program")?;
    expect(event, "/process/parent/name", json!("below.sh"))?;
    expect(event, "/process/parent/executable", json!("/bin/busybox"))?;
    expect(event, "/process/parent/vpid", json!(1))?;
    ensure!(
        event["process"]["parent"]["pid"] != 1,
        "the pid is that of the namespace"
    );
    Ok(())
}

fn paths(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("across-mount")?;
    expect(event, "/process/executable", json!("/trial/root/tools/true"))?;
    let event = evidence.exec("in-root")?;
    expect(event, "/process/executable", json!("/tools/true"))?;
    expect(event, "/process/working_directory", json!("/"))?;
    let executable = &event["tidewaiter"]["process"]["executable"];
    expect(executable, "/path_in_container_cut", json!(false))?;
    // On the running kernel all of it happens below another root.
    let path = executable["path_in_container"].as_str();
    ensure!(
        path.is_some_and(|path| path.ends_with("/trial/root/tools/true")),
        "the path below the first root is {path:?}"
    );
    Ok(())
}

fn interactive(evidence: &Evidence) -> Result<()> {
    let event = evidence.exec("on-terminal")?;
    expect(event, "/process/interactive", json!(true))?;
    // Unix98 pseudo-terminals.
    expect(event, "/process/tty/char_device/major", json!(136))?;
    let event = evidence.exec("no-terminal")?;
    expect(event, "/process/interactive", json!(false))?;
    expect(event, "/process/tty", Value::Null)
}

/// Each container's process calls its program with the container's id.
fn containers(evidence: &Evidence) -> Result<()> {
    let ids: Vec<&str> = evidence
        .events
        .iter()
        .filter(|event| event["event"]["action"] == "exec" && event["process"]["args"][1] == "container")
        .filter_map(last_argument)
        .collect();
    let places = evidence.text("places")?.split_whitespace().count();
    ensure!(ids.len() == places, "{} of {places} execs in containers", ids.len());
    for id in ids {
        expect(evidence.exec(id)?, "/container/id", json!(id))?;
    }
    expect(evidence.exec("fields")?, "/container", Value::Null)
}

/// The container is known by the cgroup path that runc made, and its terminal is one that runc made.
fn containers_of_runc(evidence: &Evidence) -> Result<()> {
    for (marker, first_digit, interactive) in [("runc", "a", false), ("runc-on-terminal", "b", true)] {
        let event = evidence.exec(marker)?;
        let id = format!("{first_digit}123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        expect(event, "/container/id", json!(id))?;
        expect(event, "/process/executable", json!("/bin/true"))?;
        expect(event, "/process/vpid", json!(1))?;
        expect(event, "/process/interactive", json!(interactive))?;
        expect(event, "/process/entry_leader/entry_meta/type", json!("container"))?;
    }
    Ok(())
}

/// Others on the machine may have raised alerts too.
fn alert(evidence: &Evidence) -> Result<()> {
    let is_it = |alert: &&Value| {
        let id = alert["container"]["id"].as_str().unwrap_or_default();
        alert["kibana.alert.rule.rule_id"] == TOOL_RULE && id.starts_with("f1234")
    };
    let alert = evidence.alerts.iter().find(is_it);
    let alert = alert.context("the rule for tools installed in containers gave none")?;
    expect(alert, "/process/name", json!("apk"))
}

/// With room enough nothing is lost; without, every record is counted as received or as lost.
fn losses(evidence: &Evidence) -> Result<()> {
    for name in ["events.stderr", "run.stderr"] {
        let (_, _, lost) = evidence.record_counts(name)?;
        ensure!(lost == 0, "{lost} records are missing in `{name}`");
    }
    let (made, received, lost) = evidence.record_counts("losses.stderr")?;
    ensure!(lost > 0, "the ring buffer was never full");
    ensure!(
        made == received + lost,
        "{made} records were made, {received} received and {lost} lost"
    );
    Ok(())
}

/// Whatever preempts what: each exec is seen or counted, and has the user who ran it.
fn busy(evidence: &Evidence) -> Result<()> {
    let (made, received, lost) = evidence.record_counts("busy.stderr")?;
    ensure!(
        made == received + lost,
        "{made} records were made, {received} received and {lost} lost"
    );
    let log = evidence.text("busy.stderr")?;
    let lost_execs: u64 = log
        .lines()
        .filter_map(|line| {
            line.split_once(" execs were lost: ")?
                .0
                .rsplit(' ')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum();
    let counts = evidence.text("busy.counts")?;
    let counts: Vec<u64> = counts.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [ordinary, real_time] = counts[..] else {
        bail!("the load did not end well: {counts:?}");
    };
    ensure!(real_time > 0, "nothing ran with real-time priority");
    let events = documents(&evidence.folder.join("busy.stdout"))?;
    let mut seen = 0;
    for (load, user) in [("ordinary", "65534"), ("real-time", "0")] {
        for event in &events {
            if event["event"]["action"] == "exec" && event["process"]["args"][1] == load {
                expect(event, "/user/id", json!(user))?;
                seen += 1;
            }
        }
    }
    ensure!(
        seen + lost_execs >= ordinary + real_time,
        "of {ordinary} and {real_time} execs {seen} were seen and {lost_execs} counted as lost"
    );
    Ok(())
}

fn lines(evidence: &Evidence) -> Result<()> {
    let asked = evidence.text("losses.stderr")?;
    for what in ["fork", "exec", "exit", "signal"] {
        let line = format!("kernel side: {what} in process ");
        ensure!(asked.contains(&line), "no line `{line}`");
    }
    let unasked = evidence.text("events.stderr")?;
    ensure!(!unasked.contains("kernel side:"), "lines that were not asked for");
    Ok(())
}

/// Documents of a file with one a line.
fn documents(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
    let parse = |line| serde_json::from_str(line).with_context(|| format!("`{}` is damaged", file.display()));
    text.lines().map(parse).collect()
}

fn last_argument(event: &Value) -> Option<&str> {
    event["process"]["args"].as_array()?.last()?.as_str()
}

fn expect(event: &Value, pointer: &str, expected: Value) -> Result<()> {
    let found = event.pointer(pointer).unwrap_or(&Value::Null);
    ensure!(*found == expected, "{pointer} is {found}, not {expected}");
    Ok(())
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(events: Vec<Value>) -> Evidence {
        Evidence {
            folder: PathBuf::new(),
            events,
            alerts: Vec::new(),
        }
    }

    fn exec(name: &str, arguments: &[&str]) -> Value {
        json!({ "event": { "action": "exec" }, "process": { "name": name, "args": arguments } })
    }

    #[test]
    fn where_a_program_starts_another_the_other_is_judged() {
        let evidence = evidence(vec![
            exec("chroot", &["chroot", "/trial/root", "/tools/true", "in-root"]),
            exec("true", &["/tools/true", "in-root"]),
        ]);
        assert_eq!(evidence.exec("in-root").unwrap()["process"]["name"], "true");
        assert!(evidence.exec("fields").is_err());
    }

    #[test]
    fn what_is_missing_is_not_what_was_expected() {
        let event = exec("true", &[]);
        assert!(expect(&event, "/process/name", json!("true")).is_ok());
        let error = expect(&event, "/process/vpid", json!(1)).unwrap_err();
        assert_eq!(error.to_string(), "/process/vpid is null, not 1");
    }

    #[test]
    fn a_check_without_events_fails() {
        let evidence = evidence(Vec::new());
        for (name, check) in CHECKS {
            assert!(check(&evidence).is_err(), "{name}");
        }
    }
}
