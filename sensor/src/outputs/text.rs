//! An alert for a person on a terminal: a few lines that say what happened, where, who did it, and why it matters.
//!
//! Rendered from the alert document, so that it can say nothing that the document does not. Everything that comes
//! from outside goes through [`crate::text::escape`]: the only control characters in the result are newlines and, with
//! [`Style::Colored`], the colours set here.

use std::fmt::Write;

use serde_json::Value;

use crate::alert::{held_back, suppressed};
use crate::text::document::{self, Document};
use crate::text::escape::{self, Ends, Line, Visible};

/// About so many characters of a command line are displayed, and of each argument.
const COMMAND_CHARACTERS: usize = 400;
const ARGUMENT_CHARACTERS: usize = 120;
/// Of a path, or another text, so many, half of them from each end; and of a whole line.
const TEXT_CHARACTERS: usize = 512;
const LINE_CHARACTERS: usize = 4096;
/// A container's id is shortened to this, as container tools do.
const SHORT_ID_CHARACTERS: usize = 12;

/// How conditions begin that are left out of the summary.
const COMMON_CONDITIONS: [&str; 3] = ["event.", "host.os.", "container.id "];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colored,
}

/// Which conditions of a rule are displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReasonDetail {
    /// Those that are particular to the event.
    Summary,
    Full,
}

/// The alert as lines of text, the last one empty.
pub(crate) fn render(alert: &Document, style: Style, detail: ReasonDetail) -> String {
    let mut out = Rendering {
        text: String::new(),
        style,
    };
    let text = |field: &str| document::text(alert, field).map(visible);

    let severity = text("kibana.alert.severity").unwrap_or_default();
    out.paint(severity_colour(&severity), &severity.to_uppercase());
    out.plain(" ");
    out.paint(BOLD, &text("kibana.alert.rule.name").unwrap_or_default());
    out.plain(&format!("  {}", text("@timestamp").unwrap_or_default()));
    if let Some(host) = text("host.name") {
        out.plain(&format!("  {host}"));
    }
    out.plain("\n");

    if alert.contains_key(held_back::FIELD) {
        out.line("held back", &text("kibana.alert.reason").unwrap_or_default());
    } else {
        out.line("process", &process(alert));
    }
    out.line("container", &container(alert));
    out.line("user", &user(alert));
    out.line("terminal", &terminal(alert));
    for (position, line) in chain(alert).iter().enumerate() {
        out.line(if position == 0 { "chain" } else { "" }, line);
    }
    out.new_terms(alert);
    let conditions = match detail {
        ReasonDetail::Summary => particular_conditions(alert),
        ReasonDetail::Full => document::texts(alert, "tidewaiter.conditions"),
    };
    for (position, condition) in conditions.iter().enumerate() {
        out.line(
            if position == 0 { "because" } else { "" },
            &Visible(condition).to_string(),
        );
    }
    if let Some(Value::Object(loss)) = alert.get("tidewaiter.loss") {
        out.line("lost", &lost(loss));
    }
    out.line(
        "rule",
        &format!(
            "{} (risk score {})",
            text("kibana.alert.rule.rule_id").unwrap_or_default(),
            document::integer(alert, "kibana.alert.risk_score").unwrap_or_default(),
        ),
    );
    out.plain("\n");
    out.text
}

/// What has come to be known of an alert that went out before, of its container or what is new since, as lines of text, the
/// last one empty.
pub(crate) fn render_amendment(alert: &Document, style: Style) -> String {
    let mut out = Rendering {
        text: String::new(),
        style,
    };
    let text = |field: &str| visible(document::text(alert, field).unwrap_or_default());
    out.paint(DIM, "of the alert before:");
    out.plain(" ");
    out.paint(BOLD, &text("kibana.alert.rule.name"));
    out.plain(&format!("  {}\n", text("@timestamp")));
    out.line("container", &container(alert));
    if alert.contains_key(suppressed::FIELD) {
        out.new_terms(alert);
    }
    out.plain("\n");
    out.text
}

/// What the sensor says of itself as a line of text and an empty one; `None` of what only tells that it is alive.
pub(crate) fn render_notice(notice: &Document, style: Style) -> Option<String> {
    if document::text(notice, "event.kind") == Some("metric") {
        return None;
    }
    let mut out = Rendering {
        text: String::new(),
        style,
    };
    let text = |field: &str| visible(document::text(notice, field).unwrap_or_default());
    out.paint(BOLD, "SENSOR");
    out.plain(&format!(" {}  {}\n", text("message"), text("@timestamp")));
    if document::get(notice, "container").is_some() {
        out.line("container", &container(notice));
    }
    out.plain("\n");
    Some(out.text)
}

/// A text of ordinary length.
fn visible(text: &str) -> String {
    let limit = TEXT_CHARACTERS;
    Ends { text, limit }.to_string()
}

/// The conditions that are particular to this event: those that every event of its kind satisfies, and those that other
/// lines display already, are left to the document. All of them, if there are no others.
fn particular_conditions(alert: &Document) -> Vec<&str> {
    let all = document::texts(alert, "tidewaiter.conditions");
    let is_particular = |condition: &&str| !COMMON_CONDITIONS.iter().any(|field| condition.starts_with(field));
    let particular: Vec<&str> = all.iter().copied().filter(is_particular).collect();
    if particular.is_empty() { all } else { particular }
}

fn process(alert: &Document) -> String {
    let mut line = escape::command_line(
        document::texts(alert, "process.args"),
        COMMAND_CHARACTERS,
        ARGUMENT_CHARACTERS,
    );
    if line.is_empty() {
        line = Visible(document::text(alert, "process.name").unwrap_or("unknown")).to_string();
    }
    line.push_str("  (");
    if let Some(executable) = document::text(alert, "process.executable") {
        let _ = write!(line, "{}, ", visible(executable));
    }
    let _ = write!(
        line,
        "pid {}",
        document::integer(alert, "process.pid").unwrap_or_default()
    );
    if let Some(directory) = document::text(alert, "process.working_directory") {
        let _ = write!(line, ", in {}", visible(directory));
    }
    line.push(')');
    line
}

fn container(alert: &Document) -> String {
    let Some(id) = document::text(alert, "container.id") else {
        return "none: on the host".to_owned();
    };
    let short_id: String = id.chars().take(SHORT_ID_CHARACTERS).collect();
    let short_id = Visible(&short_id);
    if document::text(alert, "container.name").is_none() {
        return match document::text(alert, "tidewaiter.container.metadata") {
            Some("pending") => format!("{short_id}  (name and image are not known yet)"),
            Some("failed") => {
                let why = document::text(alert, "tidewaiter.container.metadata_failure").unwrap_or("no engine tells");
                format!("{short_id}  (name and image are not known: {})", Visible(why))
            }
            _ => short_id.to_string(),
        };
    }
    let name = Visible(document::text(alert, "container.name").unwrap_or("unnamed"));
    let image = Visible(document::text(alert, "container.image.name").unwrap_or("unknown"));
    match document::text(alert, "container.image.tag") {
        Some(tag) => format!("{name}  image {image}:{}  id {short_id}", Visible(tag)),
        None => format!("{name}  image {image}  id {short_id}"),
    }
}

fn user(alert: &Document) -> String {
    let id = document::text(alert, "user.id");
    match (document::text(alert, "user.name"), id) {
        (Some(name), Some(id)) => format!("{} (uid {})", Visible(name), Visible(id)),
        (Some(name), None) => Visible(name).to_string(),
        (None, Some(id)) => format!("uid {}", Visible(id)),
        (None, None) => "unknown".to_owned(),
    }
}

fn terminal(alert: &Document) -> String {
    let major = document::integer(alert, "process.tty.char_device.major");
    let minor = document::integer(alert, "process.tty.char_device.minor");
    let device = match major.zip(minor) {
        Some((major, minor)) => device_name(major, minor),
        None => return "none".to_owned(),
    };
    match document::get(alert, "process.interactive") {
        Some(Value::Bool(true)) => format!("{device}, interactive"),
        _ => format!("{device}, not interactive"),
    }
}

/// The name that a character device has inside its own container, from the kernel's list of device numbers.
fn device_name(major: i64, minor: i64) -> String {
    match (major, minor) {
        (136..=143, 0..=255) => format!("/dev/pts/{}", (major - 136) * 256 + minor),
        (4, 0..=63) => format!("/dev/tty{minor}"),
        (4, 64..=255) => format!("/dev/ttyS{}", minor - 64),
        (5, 1) => "/dev/console".to_owned(),
        _ => format!("character device {major}:{minor}"),
    }
}

/// One line for each process, each a little further in than the one that started it.
fn chain(alert: &Document) -> Vec<String> {
    let Some(Value::Array(links)) = alert.get("tidewaiter.chain") else {
        return Vec::new();
    };
    let links = links.iter().filter_map(Value::as_object);
    links
        .enumerate()
        .map(|(depth, link)| {
            let args = document::texts(link, "args");
            let args_count = document::integer(link, "args_count").and_then(|count| usize::try_from(count).ok());
            let left_out = args_count.unwrap_or_default().saturating_sub(args.len());
            let mut line = match depth {
                0 => String::new(),
                _ => format!("{}└ ", "  ".repeat(depth - 1)),
            };
            if args.is_empty() {
                let _ = write!(line, "{}", Visible(document::text(link, "name").unwrap_or_default()));
            } else {
                line.push_str(&escape::command_line(
                    args,
                    COMMAND_CHARACTERS / 2,
                    ARGUMENT_CHARACTERS / 2,
                ));
                if left_out > 0 {
                    let _ = write!(line, " …[{left_out} more arguments]");
                }
            }
            let _ = write!(line, "  (pid {}", document::integer(link, "pid").unwrap_or_default());
            if depth == 0
                && let Some(entry) = document::text(alert, "process.entry_leader.entry_meta.type")
            {
                let _ = write!(line, ", entry by {}", Visible(entry));
            }
            line.push(')');
            line
        })
        .collect()
}

/// What the alert may not know.
fn lost(loss: &Document) -> String {
    let text = |field| Visible(document::text(loss, field).unwrap_or_default()).to_string();
    format!(
        "{} records of processes between {} and {}: what led here may be incomplete",
        document::integer(loss, "records").unwrap_or_default(),
        text("since"),
        text("until"),
    )
}

const BOLD: &str = "1";
const DIM: &str = "2";

fn severity_colour(severity: &str) -> &'static str {
    match severity {
        "critical" => "1;37;41",
        "high" => "1;31",
        "medium" => "1;33",
        _ => "1;36",
    }
}

struct Rendering {
    text: String,
    style: Style,
}

impl Rendering {
    fn plain(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn paint(&mut self, colour: &str, text: &str) {
        // Writing to a `String` does not fail.
        let _ = match self.style {
            Style::Plain => write!(self.text, "{text}"),
            Style::Colored => write!(self.text, "\u{1b}[{colour}m{text}\u{1b}[0m"),
        };
    }

    /// What is new, in the alert and since.
    fn new_terms(&mut self, alert: &Document) {
        let new_terms = suppressed::new_terms(alert);
        if !new_terms.is_empty() {
            let terms = escape::words(new_terms, COMMAND_CHARACTERS, ARGUMENT_CHARACTERS, "more");
            self.line("new", &terms);
        }
        if alert.contains_key(suppressed::FIELD) {
            let count = document::integer(alert, suppressed::COUNT).unwrap_or_default();
            let until = document::text(alert, suppressed::END).map(visible).unwrap_or_default();
            self.line("", &format!("{count} since the alert, the last {until}"));
        }
    }

    fn line(&mut self, label: &str, text: &str) {
        self.paint(DIM, &format!("  {label:<9}"));
        let limit = LINE_CHARACTERS;
        self.plain(&format!("  {}\n", Line { text, limit }));
    }
}

#[cfg(test)]
mod tests;
