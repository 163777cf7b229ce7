//! What the running sensor can still do, as the kernel tells it of each thread, and as the sensor tells it itself.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::sensor::{Home, Sensor};

const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_NICE: u64 = 1 << 23;
const CAP_SYS_RESOURCE: u64 = 1 << 24;
const CAP_BPF: u64 = 1 << 39;

/// The lines of `/proc/PID/task/TASK/status` that tell what the thread can do.
struct Status {
    text: String,
}

impl Status {
    fn value(&self, key: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().trim()
    }

    fn mask(&self, key: &str) -> Result<u64> {
        u64::from_str_radix(self.value(key), 16).with_context(|| format!("`{key}` is no mask"))
    }
}

fn threads(sensor: &Sensor) -> Result<BTreeMap<String, Status>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{}/task", sensor.process_id()))? {
        let path = task?.path();
        // One may end meanwhile.
        let Ok(text) = fs::read_to_string(path.join("status")) else {
            continue;
        };
        let status = Status { text };
        let is_first = path.ends_with(sensor.process_id().to_string());
        let name = if is_first { "main" } else { status.value("Name:") };
        threads.insert(name.to_owned(), status);
    }
    Ok(threads)
}

fn doctor(home: &Home, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = home.command("doctor")?.arg("--security").args(arguments).output()?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

#[test]
fn each_thread_has_what_its_role_uses_and_nothing_else() -> Result<()> {
    let home = Home::new()?;
    home.write_metrics(&home.state().join("metrics.prom"))?;
    let sensor = home.run()?;
    let threads = threads(&sensor)?;
    for name in [
        "main", "log", "signals", "events", "engines", "history", "run-file", "metrics", "users", "alerts", "output",
        "notices", "reload", "watch", "control",
    ] {
        ensure!(threads.contains_key(name), "there is no thread `{name}`");
    }
    for (name, status) in &threads {
        // What a thread has started is named after it.
        let permitted = match name.split('-').next().unwrap_or_default() {
            "events" => CAP_SYS_NICE | CAP_BPF,
            "alerts" | "output" => CAP_SYS_NICE,
            "engines" => CAP_DAC_READ_SEARCH | CAP_DAC_OVERRIDE,
            "users" => CAP_DAC_READ_SEARCH | CAP_SYS_PTRACE,
            "reload" | "watch" => CAP_DAC_READ_SEARCH,
            "notices" => CAP_SYS_RESOURCE,
            _ => 0,
        };
        for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
            ensure!(
                status.mask(set)? & !permitted == 0,
                "{name}: {set} {}",
                status.value(set)
            );
        }
        ensure!(status.value("NoNewPrivs:") == "1", "{name} can get new privileges");
        ensure!(status.value("Seccomp:") == "2", "{name} has no filter");
    }
    Ok(())
}

#[test]
fn the_sensor_says_itself_what_it_can_do() -> Result<()> {
    let home = Home::new()?;
    let sensor = home.run()?;
    let (status, text) = doctor(&home, &["--format", "json"])?;
    ensure!(status == Some(0), "{status:?}: {text}");
    let report: Value = serde_json::from_str(&text)?;
    assert_eq!(report["running"], true);
    assert_eq!(report["pid"], sensor.process_id());
    assert_eq!(report["mode"], "enforce");
    let listed = report["threads"].as_array().context("no threads")?;
    let thread = |name: &str| {
        listed
            .iter()
            .find(|thread| thread["name"] == name)
            .context("no such thread")
    };
    assert_eq!(
        thread("users")?["capabilities"],
        serde_json::json!(["CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"])
    );
    let has_landlock = report["landlock_version"].is_u64();
    for (name, is_limited) in [("events", has_landlock), ("history", has_landlock), ("users", false)] {
        assert_eq!(thread(name)?["landlock"], is_limited, "{name}");
    }
    let (status, text) = doctor(&home, &[])?;
    ensure!(
        status == Some(0) && text.contains("the running sensor, process"),
        "{text}"
    );
    sensor.stop()?;
    let (status, text) = doctor(&home, &["--format", "json"])?;
    let report: Value = serde_json::from_str(&text)?;
    assert_eq!(
        (status, &report["running"], &report["mode"]),
        (Some(0), &Value::Bool(false), &Value::Null)
    );
    Ok(())
}

#[test]
fn what_is_switched_off_is_left_alone() -> Result<()> {
    let home = Home::new()?;
    home.set("sandbox = \"off\"")?;
    let sensor = home.run()?;
    let own = Status {
        text: fs::read_to_string("/proc/self/status")?,
    };
    let threads = threads(&sensor)?;
    let main = threads.get("main").context("no first thread")?;
    for key in ["CapPrm:", "Seccomp:", "NoNewPrivs:"] {
        assert_eq!(main.value(key), own.value(key), "{key}");
    }
    Ok(())
}
