//! `tidewaiter health` and `tidewaiter reload`: what is asked of a running sensor.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{CommandError, ExitStatus, doctor};
use crate::cli::{HealthArguments, ReloadArguments};
use crate::config::{Config, Format};
use crate::control::{Health, Question, Reloaded, Unanswered, ask};
use crate::text::escape::Visible;

/// How long a sensor may take to say how it is: a probe waits for this.
const HEALTH_LIMIT: Duration = Duration::from_secs(3);
/// How long it may take until a reload has come to something.
const RELOAD_LIMIT: Duration = Duration::from_secs(70);

/// What is said, and whether it is good.
struct Verdict {
    is_good: bool,
    status: String,
    problems: Vec<String>,
}

/// Asks how the running sensor is.
pub(crate) fn main(arguments: &HealthArguments) -> Result<ExitStatus, CommandError> {
    let configured = Configured::load(arguments.config.config.as_deref());
    let answer = ask::<Health>(configured.config.control_directory(), Question::Health, HEALTH_LIMIT);
    let verdict = match answer {
        Ok(health) => judge(health, arguments.ready),
        Err(unanswered) => nobody(&unanswered, configured),
    };
    let adjective = if arguments.ready { "ready" } else { "alive" };
    let text = match arguments.format {
        Format::Json => {
            json!({adjective: verdict.is_good, "status": verdict.status, "problems": verdict.problems}).to_string()
        }
        Format::Text if verdict.is_good => format!("{adjective}: {}", Visible(&verdict.status)),
        Format::Text => format!("not {adjective}: {}", Visible(&verdict.problems.join("; "))),
    };
    writeln!(io::stdout(), "{text}")?;
    Ok(if verdict.is_good {
        ExitStatus::Ok
    } else {
        ExitStatus::Findings
    })
}

/// Has the running sensor take its rules anew.
pub(crate) fn reload(arguments: &ReloadArguments) -> Result<ExitStatus, CommandError> {
    let configured = Configured::load(arguments.config.config.as_deref());
    let answer = ask::<Reloaded>(configured.config.control_directory(), Question::Reload, RELOAD_LIMIT);
    let reloaded = answer.unwrap_or_else(|unanswered| Reloaded {
        is_taken: false,
        what: nobody(&unanswered, configured).problems.join("; "),
    });
    writeln!(io::stdout(), "{}", Visible(&reloaded.what))?;
    Ok(if reloaded.is_taken {
        ExitStatus::Ok
    } else {
        ExitStatus::Findings
    })
}

/// The configuration as far as it is needed to ask.
struct Configured {
    config: Config,
    /// What is wrong with it. A running sensor may have been started before it was.
    problem: Option<String>,
}

impl Configured {
    fn load(named: Option<&Path>) -> Self {
        match Config::load(named) {
            Ok(config) => Configured { config, problem: None },
            Err(error) => Configured {
                config: Config::of_environment(),
                problem: Some(super::with_sources(&error)),
            },
        }
    }
}

fn judge(health: Health, is_readiness_asked: bool) -> Verdict {
    let Health {
        status,
        not_alive: mut problems,
        not_ready,
        ..
    } = health;
    if is_readiness_asked {
        problems.extend(not_ready);
    }
    Verdict {
        is_good: problems.is_empty(),
        status,
        problems,
    }
}

/// Why nobody answers, as far as this host and the configuration tell.
fn nobody(unanswered: &Unanswered, Configured { config, problem }: Configured) -> Verdict {
    let mut problems = vec![super::with_sources(unanswered)];
    if matches!(unanswered, Unanswered::Nobody { .. }) {
        problems.extend(problem);
        problems.extend(doctor::lacking(&config));
    }
    Verdict {
        is_good: false,
        status: "unknown".to_owned(),
        problems,
    }
}
