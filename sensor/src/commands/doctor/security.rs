//! `tidewaiter doctor --security`: what the running sensor can still do, thread by thread; where none answers, what one
//! could that is started as this command was.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::config::{Config, Format};
use crate::control::{Question, ask};
use crate::sandbox::{self, Mode, Report, ThreadReport};
use crate::text::escape::Visible;

/// How long the sensor may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// What was found, of whom.
pub(super) struct Security {
    report: Report,
    /// Why it is this process's, if no sensor answers.
    unanswered: Option<String>,
}

impl Security {
    pub(super) fn look(config: &Config) -> Self {
        match ask::<Report>(config.control_directory(), Question::Security, LIMIT) {
            Ok(report) => Security {
                report,
                unanswered: None,
            },
            Err(error) => Security {
                report: sandbox::report(),
                unanswered: Some(error.to_string()),
            },
        }
    }

    /// Whether a running sensor is limited as it was configured to be.
    pub(super) fn is_as_configured(&self) -> bool {
        let is_limited = |thread: &ThreadReport| thread.seccomp == "filter" && thread.no_new_privileges;
        self.report.mode() != Some(Mode::Enforce) || self.report.threads.iter().all(is_limited)
    }

    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Json => {
                let mut document = json!(self.report);
                document["running"] = self.unanswered.is_none().into();
                document.to_string() + "\n"
            }
            Format::Text => self.text(),
        }
    }

    fn text(&self) -> String {
        let report = &self.report;
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = match &self.unanswered {
            None => writeln!(text, "the running sensor, process {}", report.pid),
            Some(why) => writeln!(
                text,
                "{}\nso this is what a sensor could do that is started as this command was:",
                Visible(why)
            ),
        };
        let threads = &report.threads;
        let number = |has: fn(&ThreadReport) -> bool| {
            format!(
                "{} of {} threads",
                threads.iter().filter(|thread| has(thread)).count(),
                threads.len()
            )
        };
        let together: BTreeSet<&str> = threads
            .iter()
            .flat_map(|thread| thread.capabilities.iter().map(String::as_str))
            .collect();
        let landlock = match report.landlock_version {
            Some(version) => format!("version {version}; {}", number(|thread| thread.landlock)),
            None => "this kernel has none, or does not permit it (from 5.13 on, if it is switched on)".to_owned(),
        };
        let lines = [
            ("user", format!("{}, group {}", report.user, report.group)),
            ("sandbox", report.mode.clone().unwrap_or("not begun".to_owned())),
            ("no new privileges", number(|thread| thread.no_new_privileges)),
            ("seccomp", number(|thread| thread.seccomp == "filter")),
            ("Landlock", landlock),
            ("capabilities", list(&together.into_iter().collect::<Vec<_>>())),
            ("bounding set", list(&report.bounding)),
            ("writable mounts", list(&report.writable_mounts)),
        ];
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<18}{}", Visible(&value));
        }
        let _ = writeln!(
            text,
            "\n  {:<16}{:<10}{:<9}{:<10}capabilities",
            "thread", "role", "seccomp", "Landlock"
        );
        for thread in threads {
            let _ = writeln!(
                text,
                "  {:<16}{:<10}{:<9}{:<10}{}",
                Visible(&thread.name).to_string(),
                Visible(thread.role.as_deref().unwrap_or("-")).to_string(),
                Visible(&thread.seccomp).to_string(),
                if thread.landlock { "yes" } else { "no" },
                Visible(&list(&thread.capabilities)),
            );
        }
        text.push_str(
            "\nthreads share memory: who can write all of it can do what all of them together can, and who can use\n\
             the socket of a container engine is root on this host\n",
        );
        text
    }
}

/// All there are in few words: of many the number.
fn list(words: &[impl Borrow<str>]) -> String {
    const SHOWN_AT_MOST: usize = 12;
    match words {
        [] => "none".to_owned(),
        words if words.len() <= SHOWN_AT_MOST => words.join(", "),
        words => format!(
            "{} and {} more",
            words[..SHOWN_AT_MOST].join(", "),
            words.len() - SHOWN_AT_MOST
        ),
    }
}
