use expect_test::expect;
use proptest::prelude::*;
use sensor_abi::LossReason;
use serde_json::json;

use super::*;
use crate::alert::Alert;
use crate::alert::growing::GrowingAlerts;
use crate::alert::loss::Loss;
use crate::alert::sample::{growing, sample};
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
    *records.of_mut(LossReason::RingFull) = [1, 2, 3, 4, 0, 0];
    *records.of_mut(LossReason::MissedRun) = [5, 0, 0, 0, 0, 0];
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
fn what_is_new_after_an_alert_is_told_in_two_lines() {
    let mut kept = GrowingAlerts::default();
    let documents = growing("3f2a9c5d1b2e4f60", &["sh", "ls", "so cat", "id"])
        .into_iter()
        .map(|alert| kept.follow(alert).into_document());
    let last = documents.last().expect("an amendment");
    expect![[r#"
        of the alert before: New program  1970-01-01T00:00:00.000Z
          container  3f2a9c5d1b2e
          new        sh ls "so cat" id
                     3 since the alert, the last 1970-01-01T00:00:03.000Z

    "#]]
    .assert_eq(&render_amendment(&last, Style::Plain));
}

#[test]
fn whatever_is_long_the_lines_are_few_and_short() {
    let document = hostile(&"\u{1b}x".repeat(1 << 19));
    for text in [
        render(&document, Style::Plain, ReasonDetail::Full),
        render_amendment(&document, Style::Plain),
    ] {
        assert!(text.lines().count() < 40);
        assert!(text.lines().all(|line| line.chars().count() < 2 * LINE_CHARACTERS));
    }
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
