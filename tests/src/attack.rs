//! What an ordinary container does to exhaust the sensor or to drown what others do; for the end-to-end tests, and for
//! `./dev bench attacks`, which runs each at full speed.
//!
//! A further one is a row of [`ATTACKS`], and if need be a way of `programs/attacker.rs`.

use anyhow::Result;

use crate::engine::Engine;
use crate::program::{compile_static, run};

/// A rule that reads the environment, so that the kernel side sends it.
pub const READS_ENVIRONMENT: &str = r#"
[rule]
name = "Reads the environment"
description = "Has the environment of every program read."
rule_id = "0d1f4f5a-7f55-4b7e-9d43-1a1d3a9c5e01"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and process.env_vars : "LD_PRELOAD=/never*"'
"#;

/// A rule that every one of the attacks' programs with many arguments raises an alert of.
pub const ALERTS_ON_ARGUMENTS: &str = r#"
[rule]
name = "Many arguments"
description = "Has an alert raised of every program with many arguments."
rule_id = "0d1f4f5a-7f55-4b7e-9d43-1a1d3a9c5e02"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
max_signals = 1000000
query = 'process where event.action == "exec" and process.args_count > 1000'
"#;

/// Something that a container does as fast as it can.
pub struct Attack {
    pub name: &'static str,
    /// What the program `attacker` is started with.
    arguments: &'static [&'static str],
    has_terminal: bool,
}

/// All of them. The numbers of processes are for minutes at full speed; they need some gigabytes.
pub const ATTACKS: &[Attack] = &[
    Attack::new("empty-arguments", &["arguments", "31000", "0", "1"]),
    Attack::new("one-letter-arguments", &["arguments", "16000", "1", "1"]),
    Attack::new("empty-arguments-twice", &["arguments", "31000", "0", "2"]),
    Attack::new("two-letter-arguments-twice", &["arguments", "10000", "2", "2"]),
    Attack::new("long-arguments-24-times", &["arguments", "1", "31000", "24"]),
    Attack::new("as-long-arguments-as-can-be", &["arguments", "16", "125000", "2"]),
    Attack::new("as-many-arguments-as-can-be", &["arguments", "180000", "1", "1"]),
    Attack::new("children-of-many-arguments", &["children", "16000", "1"]),
    Attack::new("long-environment", &["environment", "5000", "60000"]),
    Attack::new("long-paths", &["paths", "20000"]),
    Attack::new("forks", &["forks", "20000"]),
    Attack {
        has_terminal: true,
        ..Attack::new("names", &["names", "200"])
    },
];

/// Ways of `attacker` whose processes stay, as many as the number says.
const STAYING: [&str; 3] = ["environment", "paths", "forks"];

impl Attack {
    const fn new(name: &'static str, arguments: &'static [&'static str]) -> Self {
        Attack {
            name,
            arguments,
            has_terminal: false,
        }
    }

    /// Starts it in a container of its own, with at most so many processes at once.
    pub fn start<'a>(&self, engine: &'a Engine, processes_at_most: usize) -> Result<Running<'a>> {
        let program = compile_static("attacker")?;
        let mount = format!("{}:/attacker:ro", program.display());
        let limited = |argument: &&str| match argument.parse::<usize>() {
            Ok(number) if STAYING.contains(&self.arguments[0]) && **argument == *self.arguments[1] => {
                number.min(processes_at_most).to_string()
            }
            _ => (*argument).to_owned(),
        };
        let arguments: Vec<String> = self.arguments.iter().map(limited).collect();
        let command: Vec<&str> = ["/attacker"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect();
        let terminal: &[&str] = if self.has_terminal { &["--tty"] } else { &[] };
        let options = [&["--volume", &mount, "--workdir", "/tmp"], terminal].concat();
        let container = engine.run_detached(&options, &command)?;
        Ok(Running { engine, container })
    }
}

/// The container of an attack, gone when this is dropped.
pub struct Running<'a> {
    engine: &'a Engine,
    pub container: String,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = run(&mut self.engine.docker(&["rm", "--force", &self.container]));
    }
}

/// The most memory that a process has had resident since it began, in MiB.
pub fn peak_mib(process_id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.map(|line| line.trim().trim_end_matches(" kB"));
    Ok(kib.unwrap_or_default().parse::<f64>()? / 1024.0)
}
