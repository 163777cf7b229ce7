//! What was typed: the command line and its help, nothing more.
//!
//! First step of every command; [`crate::commands`] gives it a meaning. `--help` is the reference of
//! the command line, so every option says here what it does and every command ends with examples.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use crate::config::{Format, parse_duration};

/// See who opens a shell in a container, in the second in which it happens.
///
/// Tidewaiter watches every process on this host with eBPF, says which container, session and
/// terminal it belongs to, and runs detection rules in Elastic's rule format on each event.
#[derive(Debug, Parser)]
#[command(name = "tidewaiter", version, max_term_width = 100)]
#[command(after_help = "\
Exit status:
  0  all is well
  1  findings, a failed check, or an output that was closed
  2  the command line or the configuration is wrong
  3  this host lacks something required (see `tidewaiter doctor`)

Examples:
  tidewaiter doctor                    what this host has and lacks
  tidewaiter run                       watch, with the rules that are built in
  tidewaiter rules check my-rules/     look for errors in rule files")]
pub(crate) struct CommandLine {
    /// How much to say on stderr: off, error, warn, info, debug, or trace, which has a line from the kernel side for
    /// each fork, exec and exit
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub(crate) log: LevelFilter,

    /// When to use colours; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch this host and write an alert for each match of a rule
    #[command(after_help = "\
Alerts go to stdout: text for a person on a terminal, one JSON document a line otherwise.
Everything else the sensor has to say goes to stderr. Ctrl-C or SIGTERM ends it.

Examples:
  tidewaiter run
  tidewaiter run --rules /etc/tidewaiter/rules --rules extra-rule.toml
  tidewaiter run --format json >> /var/log/tidewaiter.ndjson")]
    Run(RunArguments),

    /// Write every process event as an ECS document a line
    #[command(after_help = "\
No rules run. What this writes, `tidewaiter replay` reads.

Examples:
  tidewaiter events --containers-only
  tidewaiter events > events.ndjson")]
    Events(EventsArguments),

    /// Run rules over recorded events
    #[command(after_help = "\
The input is one ECS document a line, with nested or dotted keys, from any producer. Alerts go to
stdout, one JSON document a line. Time is the documents' `@timestamp`, and they are taken in its
order, so that the same input always gives the same output. Search hits and the lines of bulk
requests are taken for the documents in them. A line that cannot be used is named on stderr and makes
the exit status 1, as does an input without an event.

Examples:
  tidewaiter replay --rules my-rules/ events.ndjson
  tidewaiter replay --rules my-rule.toml --explain RULE_ID events.ndjson
  zcat events.ndjson.gz | tidewaiter replay -
  tail -f events.ndjson | tidewaiter replay --late 0s -")]
    Replay(ReplayArguments),

    /// Have new_terms rules know what recorded events hold
    #[command(after_help = "\
The input is that of `tidewaiter replay`. What it holds is written into the state directory, where
the sensor finds it at its next start, so that none of it is new. No sensor may be running on that
directory meanwhile.

Examples:
  tidewaiter learn --from events.ndjson
  zcat events.ndjson.gz | tidewaiter learn --rules my-rules/ --from -")]
    Learn(LearnArguments),

    /// Check, list or test rule files
    #[command(subcommand)]
    Rules(RulesCommand),

    /// Say what this host has and lacks, and what to do about it
    #[command(after_help = "\
Run it as the user that is to run the sensor. Nothing is changed on the host.

Examples:
  tidewaiter doctor
  tidewaiter doctor --config /etc/tidewaiter/tidewaiter.toml --format json
  tidewaiter doctor --security         what the running sensor can still do")]
    Doctor(DoctorArguments),

    /// Ask the running sensor whether it goes on with its work
    #[command(after_help = "\
Exit status 0 means yes, 1 no, or that no sensor answers; a line says why. It is for the probes of a
pod: alive is a sensor whose threads go on and that looks at what the kernel reports, which a new
start may mend; ready is one that is alive, watches, writes what it remembers, and runs the rules
and the configuration that there are.

Examples:
  tidewaiter health
  tidewaiter health --ready --format json")]
    Health(HealthArguments),

    /// Have the running sensor read its rules and its configuration anew
    #[command(after_help = "\
As SIGHUP, with a line on what came of it. What rules remember stays. Where a rule is broken that was
not before, or the configuration is wrong, everything stays as it was, and the exit status is 1. The
sensor does so by itself when the files change.

Examples:
  tidewaiter reload")]
    Reload(ReloadArguments),

    /// Print the default configuration, with comments
    #[command(after_help = "\
Examples:
  tidewaiter config > /etc/tidewaiter/tidewaiter.toml")]
    Config,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgument {
    /// Configuration file [default: /etc/tidewaiter/tidewaiter.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What decides which rules a sensor runs, and with what state.
#[derive(Clone, Debug, Args)]
pub(crate) struct SensorArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Rule file, or directory to search for rule files, instead of the configured ones; may be
    /// repeated. The stock rules stay on unless the configuration switches them off
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) sensor: SensorArguments,

    /// How to write alerts [default: the configured one; there `auto`: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Show every condition that held in the text form too, not only those that tell something
    #[arg(long)]
    pub(crate) explain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Only events of processes inside containers
    #[arg(long)]
    pub(crate) containers_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Rule file, or directory to search for rule files; may be repeated [default: the stock rules]
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,

    /// Also write the events that the rule of this id nearly matches, those that lack one condition or
    /// else the nearest one, with what is missing
    #[arg(long, value_name = "RULE_ID")]
    pub(crate) explain: Option<String>,

    /// By how much a document may come later than others of its time and still be taken in order; what
    /// comes later still is taken as it comes, and counted. At most 256 MiB of documents wait for this,
    /// and none for more than a second in which a pipe has nothing to read
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_duration)]
    pub(crate) late: Duration,

    /// Recorded events, `-` for stdin
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct LearnArguments {
    #[command(flatten)]
    pub(crate) sensor: SensorArguments,

    /// Recorded events, `-` for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Report everything that is wrong in rule files
    #[command(after_help = "\
Examples:
  tidewaiter rules check /etc/tidewaiter/rules
  tidewaiter rules check --format json my-rule.toml")]
    Check(RulesArguments),

    /// List rules with their type, severity and status
    #[command(after_help = "\
Examples:
  tidewaiter rules list                (the stock rules)
  tidewaiter rules list /etc/tidewaiter/rules")]
    List(RulesArguments),

    /// Run the examples that rule files carry
    #[command(after_help = "\
Examples:
  tidewaiter rules test my-rules/")]
    Test(RulesArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RulesArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Rule files, or directories to search for rule files [default: the stock rules]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Text for a person, or one JSON array
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Whether it does all that it was told to, too
    #[arg(long)]
    pub(crate) ready: bool,

    /// Text for a person, or a JSON object
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ReloadArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,

    /// Say instead what the running sensor can still do: capabilities, system calls and files of each thread. Exit
    /// status 1 means that it can do more than it was configured to
    #[arg(long)]
    pub(crate) security: bool,

    /// Text for a person, or JSON
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_after_its_options() {
        fn check(command: &clap::Command) {
            let subcommands: Vec<_> = command.get_subcommands().collect();
            if subcommands.is_empty() {
                let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains("Examples:"), "`{}` has no examples", command.get_name());
            }
            subcommands.into_iter().for_each(check);
        }
        check(&CommandLine::command());
    }

    #[test]
    fn rules_and_global_options_may_stand_anywhere() {
        let line = CommandLine::try_parse_from(["tidewaiter", "run", "--rules", "a", "--log", "debug", "--rules", "b"])
            .unwrap();
        assert_eq!(line.log, LevelFilter::DEBUG);
        let Command::Run(run) = line.command else {
            panic!("not the run command")
        };
        assert_eq!(run.sensor.rules, [PathBuf::from("a"), PathBuf::from("b")]);
    }
}
