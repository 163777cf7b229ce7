//! An alert for a person on a terminal: a few lines that say what happened, where, who did it, and why it matters.
//!
//! Rendered from the alert document, so that it can say nothing that the document does not. Everything that comes
//! from outside goes through [`crate::text::escape`]: the only control characters in the result are newlines and, with
//! [`Style::Colored`], the colours set here.

use std::fmt::Write;

use serde_json::Value;

use crate::alert::held_back;
use crate::text::document::{self, Document};
use crate::text::escape::{self, Visible};

/// About so many characters of a command line are displayed, and of each argument.
const COMMAND_CHARACTERS: usize = 400;
const ARGUMENT_CHARACTERS: usize = 120;
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
    let text = |field: &str| document::text(alert, field).map(|text| Visible(text).to_string());

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
    let new_terms = document::texts(alert, "kibana.alert.new_terms");
    if !new_terms.is_empty() {
        out.line(
            "new",
            &escape::command_line(new_terms, COMMAND_CHARACTERS, ARGUMENT_CHARACTERS),
        );
    }
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

/// What has come to be known of the container of an alert that went out before, as lines of text, the last one empty.
pub(crate) fn render_amendment(alert: &Document, style: Style) -> String {
    let mut out = Rendering {
        text: String::new(),
        style,
    };
    let text = |field: &str| Visible(document::text(alert, field).unwrap_or_default()).to_string();
    out.paint(DIM, "of the alert before:");
    out.plain(" ");
    out.paint(BOLD, &text("kibana.alert.rule.name"));
    out.plain(&format!("  {}\n", text("@timestamp")));
    out.line("container", &container(alert));
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
    let text = |field: &str| Visible(document::text(notice, field).unwrap_or_default()).to_string();
    out.paint(BOLD, "SENSOR");
    out.plain(&format!(" {}  {}\n", text("message"), text("@timestamp")));
    if document::get(notice, "container").is_some() {
        out.line("container", &container(notice));
    }
    out.plain("\n");
    Some(out.text)
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
        let _ = write!(line, "{}, ", Visible(executable));
    }
    let _ = write!(
        line,
        "pid {}",
        document::integer(alert, "process.pid").unwrap_or_default()
    );
    if let Some(directory) = document::text(alert, "process.working_directory") {
        let _ = write!(line, ", in {}", Visible(directory));
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

    fn line(&mut self, label: &str, text: &str) {
        self.paint(DIM, &format!("  {label:<9}"));
        self.plain(&format!("  {text}\n"));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;
    use sensor_abi::LossReason;
    use serde_json::json;

    use super::*;
    use crate::alert::loss::Loss;
    use crate::alert::{Alert, sample::sample};
    use crate::telemetry::counts::LostRecords;

    #[test]
    fn an_alert_says_what_where_who_and_why() {
        expect![[r#"
            LOW Tool installed in a container  2026-11-22T00:03:29.123Z  node-1
              process    apt-get install "net cat"  (/usr/bin/apt-get, pid 4242, in /root)
              container  web-1  image nginx:1.25  id 3f2a9c5d1b2e
              user       root (uid 0)
              terminal   /dev/pts/3, interactive
              chain      bash  (pid 4100, entry by container)
                         └ apt-get install "net cat"  (pid 4242)
              because    process.args == "install": install
              rule       9b2cfe7e-0000-4000-8000-000000000001 (risk score 21)

        "#]]
        .assert_eq(&render(&sample().into_document(), Style::Plain, ReasonDetail::Summary));
    }

    #[test]
    fn an_alert_without_metadata_says_what_is_missing() {
        let mut alert = sample();
        alert
            .event
            .insert("container".to_owned(), json!({"id": "3f2a9c5d1b2e4f60"}));
        alert
            .event
            .insert("tidewaiter".to_owned(), json!({"container": {"metadata": "pending"}}));
        alert.new_terms = vec!["so cat".to_owned()];
        expect![[r#"
            LOW Tool installed in a container  2026-11-22T00:03:29.123Z  node-1
              process    apt-get install "net cat"  (/usr/bin/apt-get, pid 4242, in /root)
              container  3f2a9c5d1b2e  (name and image are not known yet)
              user       root (uid 0)
              terminal   /dev/pts/3, interactive
              chain      bash  (pid 4100, entry by container)
                         └ apt-get install "net cat"  (pid 4242)
              new        "so cat"
              because    process.args == "install": install
              rule       9b2cfe7e-0000-4000-8000-000000000001 (risk score 21)

        "#]]
        .assert_eq(&render(&alert.into_document(), Style::Plain, ReasonDetail::Summary));
    }

    #[test]
    fn an_alert_that_overlaps_a_loss_says_what_may_be_missing() {
        let mut alert = sample();
        let mut records = LostRecords::default();
        *records.of_mut(LossReason::RingFull) = [1, 2, 3, 4, 0];
        *records.of_mut(LossReason::MissedRun) = [5, 0, 0, 0, 0];
        alert.loss = Some(Loss {
            since_ns: 1_792_000_000_000_000_000,
            until_ns: 1_792_000_001_500_000_000,
            records,
        });
        let text = render(&alert.into_document(), Style::Plain, ReasonDetail::Summary);
        let line = text.lines().find(|line| line.contains("lost"));
        expect![[r#"
            "  lost       15 records of processes between 2026-10-14T17:46:40Z and 2026-10-14T17:46:41.5Z: what led here may be incomplete"
        "#]]
        .assert_debug_eq(&line.unwrap());
    }

    #[test]
    fn only_particular_conditions_are_displayed_unless_there_are_no_others() {
        let displayed = |conditions: &[&str]| {
            let mut alert = sample();
            alert.conditions = conditions.iter().map(|condition| (*condition).to_owned()).collect();
            let text = render(&alert.into_document(), Style::Plain, ReasonDetail::Summary);
            text.lines().filter(|line| line.contains(" is ")).count()
        };
        assert_eq!(displayed(&["event.action is `exec`", "process.name is `curl`"]), 1);
        assert_eq!(displayed(&["event.action is `exec`", "event.type is `start`"]), 2);
    }

    #[test]
    fn long_and_hostile_arguments_are_cut_and_spelled_out() {
        let mut alert = sample();
        alert.event.insert(
            "process".to_owned(),
            json!({"pid": 1, "name": "x", "args": ["sh", "\u{1b}]0;owned\u{7}", "a".repeat(40_000)]}),
        );
        alert.chain = crate::alert::chain_from_event(&alert.event);
        expect![[r#"
            LOW Tool installed in a container  2026-11-22T00:03:29.123Z  node-1
              process    sh "\u{1b}]0;owned\u{7}" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…[40000 bytes]  (pid 1)
              container  web-1  image nginx:1.25  id 3f2a9c5d1b2e
              user       root (uid 0)
              terminal   none
              chain      sh "\u{1b}]0;owned\u{7}" …[1 more arguments]  (pid 1)
              because    process.args == "install": install
              rule       9b2cfe7e-0000-4000-8000-000000000001 (risk score 21)

        "#]].assert_eq(&render(&alert.into_document(), Style::Plain, ReasonDetail::Summary));
    }

    #[test]
    fn colours_are_set_only_when_asked_for() {
        let document = sample().into_document();
        let colored = render(&document, Style::Colored, ReasonDetail::Summary);
        assert!(colored.starts_with("\u{1b}[1;36mLOW\u{1b}[0m"));
        assert_eq!(
            without_colours(&colored),
            render(&document, Style::Plain, ReasonDetail::Summary)
        );
    }

    #[test]
    fn terminals_are_named_as_the_kernel_numbers_them() {
        for (major, minor, name) in [
            (136, 0, "/dev/pts/0"),
            (137, 4, "/dev/pts/260"),
            (4, 1, "/dev/tty1"),
            (4, 64, "/dev/ttyS0"),
            (5, 1, "/dev/console"),
            (204, 64, "character device 204:64"),
        ] {
            assert_eq!(device_name(major, minor), name);
        }
    }

    fn without_colours(text: &str) -> String {
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
    }

    /// A document with hostile text wherever text can stand.
    fn hostile(text: &str) -> Document {
        let mut alert: Alert = sample();
        let fill = |value: &mut Value| replace_texts(value, text);
        alert.event.values_mut().for_each(fill);
        alert.new_terms = vec![text.to_owned()];
        alert.conditions = vec![text.to_owned()];
        for link in &mut alert.chain {
            link.name = text.to_owned();
            link.args = vec![text.to_owned(); 3];
        }
        let mut document = alert.into_document();
        document.insert("kibana.alert.rule.name".to_owned(), json!(text));
        document.insert("kibana.alert.severity".to_owned(), json!(text));
        document
    }

    fn replace_texts(value: &mut Value, text: &str) {
        match value {
            Value::String(old) => text.clone_into(old),
            Value::Array(values) => values.iter_mut().for_each(|value| replace_texts(value, text)),
            Value::Object(fields) => fields.values_mut().for_each(|value| replace_texts(value, text)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn nothing_from_outside_reaches_the_terminal_as_a_control_character(
            text in prop_oneof![any::<String>(), "[\u{0}-\u{9f}\u{200b}-\u{202e}a\"\\\\]{0,20}"],
        ) {
            let document = hostile(&text);
            let plain = render(&document, Style::Plain, ReasonDetail::Summary);
            let misleading = |c: char| (c.is_control() && c != '\n') || ('\u{200b}'..='\u{200f}').contains(&c)
                || ('\u{2028}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
            prop_assert!(!plain.chars().any(misleading), "{plain:?}");
            prop_assert_eq!(without_colours(&render(&document, Style::Colored, ReasonDetail::Summary)), plain.clone());
            // No text from outside adds a line.
            prop_assert_eq!(plain.lines().count(), render(&hostile("x"), Style::Plain, ReasonDetail::Summary).lines().count());
        }
    }
}
