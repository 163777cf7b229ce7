//! The project's tasks: set up a machine, build, run, test, measure. `./dev` and the alias `cargo xtask` lead here.

mod apt;
mod architecture;
mod check;
mod cluster;
mod command;
mod counts;
mod dist;
#[path = "../../sensor/build/ebpf_toolchain.rs"]
mod ebpf_toolchain;
mod instructions;
mod kernels;
mod setup;
mod suite;
mod systemd;
mod test;
mod tidy;
mod tools;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use architecture::{Architecture, X86_64};
use counts::Record;

#[derive(Parser)]
#[command(name = "./dev", about = "Tidewaiter's tasks", disable_help_subcommand = true)]
enum Task {
    /// Install what building needs, build in release mode
    Build,
    /// Build, then run the sensor until Ctrl-C
    Run {
        /// Passed on to `tidewaiter run`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Install what the tests need, run all of them, end with how many passed, failed and were skipped
    Test,
    /// Check what needs neither root nor long: formatting, lints, documentation, unit and property tests
    Check,
    /// Measure the sensor
    Bench {
        #[command(subcommand)]
        figures: Figures,
    },
    /// Check the sensor on other kernels, in virtual machines, with each layout of cgroups, and on the running one; on
    /// all, if none is named
    Kernels {
        #[arg(value_enum)]
        kernels: Vec<kernels::Kernel>,
        /// Write into the repository how many instructions the verifier looked at
        #[arg(long)]
        record: bool,
    },
    /// Install the Debian package in a real systemd, in a virtual machine, and work with its unit
    Systemd,
    /// Run Tidewaiter on a Kubernetes of its own, in namespaces of its own: Debian's, built once
    Cluster {
        #[command(subcommand)]
        action: cluster::Action,
    },
    /// Build what is released into `target/dist`: all of it, if nothing is named
    Dist {
        #[arg(value_enum)]
        artifact: Option<dist::Artifact>,
        /// For one processor, x86_64 or aarch64, instead of for all
        #[arg(long, value_parser = Architecture::named)]
        architecture: Option<&'static Architecture>,
        /// Build everything a second time, elsewhere, and compare
        #[arg(long)]
        twice: bool,
    },
    /// Check every shell script
    Shellcheck,
    /// Check the licences of all dependencies, and look for advisories and duplicates
    Deny,
    /// Check that everything builds with the oldest compiler that is supported, which has to be the active one
    Msrv,
    /// Run each fuzz target for a while
    Fuzz {
        /// How long each runs
        #[arg(long, default_value_t = 1)]
        minutes: u64,
    },
    /// Look for what the compiler does not look for: left-overs, overlong files
    Tidy,
}

#[derive(clap::Subcommand)]
enum Figures {
    /// What a container gains that works against the sensor at full speed: its peak memory, other containers' alerts
    Attacks {
        /// How long each lasts
        #[arg(long, default_value = "1")]
        minutes: String,
        /// One of `tests/src/attack.rs`, or at-rest, all-together, unread (all together, and nobody reads the alerts);
        /// otherwise each of these
        name: Option<String>,
    },
    /// What is known of 1,000 short-lived containers of each of two engines, and at what cost
    Containers,
    /// Time from exec to alert, in a container and on the host
    Latency,
    /// What the stock rules say of ordinary lives of containers (`tests/lives`), by rule and severity
    Lives {
        /// Live all of it first, in real containers, and write what the sensor saw into the repository
        #[arg(long, conflicts_with = "minutes")]
        record: bool,
        /// Live what is steady for so many minutes instead, in real containers, and scale what is told to an hour and a day
        #[arg(long)]
        minutes: Option<u64>,
    },
    /// What the rules cost: events a second on one core, memory, allocations, instructions (with valgrind)
    Rules {
        /// Count the instructions alone, and write them into the repository
        #[arg(long)]
        record: bool,
    },
    /// What the sensor costs: execs a second with and without it, CPU time, memory, time to start and to alert, losses
    Sensor {
        /// A storm of 100,000 programs instead of a million, and fewer rounds
        #[arg(long)]
        short: bool,
    },
}

fn main() -> ExitCode {
    let task = Task::parse();
    match carry_out(task) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is skipped has not passed.
fn exit_code(reports: &[kernels::Report]) -> ExitCode {
    let is_passed = |report: &kernels::Report| matches!(report.outcome, kernels::Outcome::Passed);
    if reports.iter().all(is_passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn carry_out(task: Task) -> Result<ExitCode> {
    match task {
        Task::Build => {
            setup::for_building()?;
            command::run(&mut command::build_sensor())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Run { arguments } => {
            setup::for_building()?;
            command::run(&mut command::build_sensor())?;
            let sensor = command::target_folder().join("release/tidewaiter");
            let error = Command::new(&sensor).arg("run").args(arguments).exec();
            Err(error).with_context(|| format!("could not start `{}`", sensor.display()))
        }
        Task::Check => {
            setup::for_checking()?;
            check::run()
        }
        Task::Test => {
            setup::for_testing()?;
            test::run_everything()
        }
        Task::Bench { figures } => {
            setup::for_testing()?;
            let (attacks, lives);
            let name = match figures {
                Figures::Attacks { minutes, name } => {
                    attacks = ["attacks", &minutes, &name.unwrap_or_default()].join(" ");
                    attacks.trim_end()
                }
                Figures::Containers => "containers",
                Figures::Latency => "latency",
                Figures::Lives { record: true, .. } => {
                    setup::for_lives()?;
                    "lives --record"
                }
                Figures::Lives {
                    minutes: Some(minutes), ..
                } => {
                    setup::for_lives()?;
                    lives = format!("lives {minutes}");
                    &lives
                }
                Figures::Lives { .. } => "lives",
                Figures::Rules { record: false } => "rules",
                Figures::Rules { record: true } => {
                    instructions::record()?;
                    return Ok(ExitCode::SUCCESS);
                }
                Figures::Sensor { short: false } => "sensor",
                Figures::Sensor { short: true } => "sensor --short",
            };
            command::run(command::figures().args(name.split(' ')))?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Kernels { kernels, record } => {
            setup::for_building()?;
            let record = if record { Record::Yes } else { Record::No };
            let reports = kernels::run(&kernels, kernels::Layouts::Each, record)?;
            Ok(exit_code(&reports))
        }
        Task::Systemd => {
            setup::for_building()?;
            dist::run(Some(dist::Artifact::Package), &[&X86_64], dist::Times::Once)?;
            Ok(exit_code(&[systemd::run(&dist::package(&X86_64)?)?]))
        }
        Task::Cluster { action } => {
            setup::for_testing()?;
            cluster::carry_out(action)
        }
        Task::Dist {
            artifact,
            architecture,
            twice,
        } => {
            setup::for_release()?;
            let times = if twice { dist::Times::Twice } else { dist::Times::Once };
            let one = architecture.map(|architecture| [architecture]);
            dist::run(artifact, one.as_ref().map_or(&Architecture::ALL, |one| one), times)?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Shellcheck => tools::shellcheck().map(|()| ExitCode::SUCCESS),
        Task::Deny => tools::deny().map(|()| ExitCode::SUCCESS),
        Task::Msrv => tools::msrv().map(|()| ExitCode::SUCCESS),
        Task::Fuzz { minutes } => tools::fuzz(Duration::from_secs(minutes * 60)).map(|()| ExitCode::SUCCESS),
        Task::Tidy => tidy::run(),
    }
}
