//! Warnings on rules that are otherwise `ok`.

use super::*;
use crate::diagnostic::{Code, Severity};

fn query_rule(rule_type: &str, query: &str, tail: &str) -> String {
    let language = if rule_type == "eql" { "eql" } else { "kuery" };
    format!("{HEAD}type = \"{rule_type}\"\nlanguage = \"{language}\"\nquery = \'\'\'{query}\'\'\'\n{tail}")
}

#[test]
fn a_rule_that_waits_in_vain_is_ok_with_a_warning_that_says_why() {
    let terms = "[rule.new_terms]\nvalue = [\"process.title\"]\n\
                 [[rule.new_terms.history_window_start]]\nvalue = \"now-14d\"\n";
    for (text, expected) in [
        (
            query_rule(
                "eql",
                "file where file.path != null",
                "index = [\"logs-endpoint.events.file*\"]\n",
            ),
            expect![[r#"
                Ok
                9:12 Warning never-matches: the rule can never match: `event.category` is `process` or `host` in events from here (take the part out, or keep it for events of other producers)
                10:9 Warning index-without-source: no source here produces events of the rule's `index` patterns (events here are in `logs-endpoint.events.process-default` and `logs-cloud_defend.process-default`)
            "#]],
        ),
        (
            query_rule(
                "eql",
                "process where true",
                "index = [\"logs-endpoint.events.*\", \"-logs-*.process-*\"]\n",
            ),
            expect![[r#"
                Ok
                10:9 Warning index-without-source: no source here produces events of the rule's `index` patterns (events here are in `logs-endpoint.events.process-default` and `logs-cloud_defend.process-default`)
            "#]],
        ),
        (
            query_rule(
                "eql",
                "authentication where true",
                "index = [\"logs-endpoint.events.process*\"]\n",
            ),
            expect![[r#"
                Ok
                9:12 Warning never-matches: the rule can never match: `event.category` is `process` or `host` in events from here (take the part out, or keep it for events of other producers)
                10:9 Warning never-matches: the rule can never match: its `index` patterns leave out the category of its events (take the part out, or keep it for events of other producers)
            "#]],
        ),
        (
            query_rule("new_terms", "event.action:exec", terms),
            expect![[r#"
                Ok
                11:10 Warning never-matches: the rule can never match: no source here fills `process.title` (take the part out, or keep it for events of other producers)
            "#]],
        ),
        (
            query_rule(
                "threshold",
                "event.action:exec",
                "[rule.threshold]\nfield = \"process.title\"\nvalue = 5\n",
            ),
            expect![[r#"
                Ok
                11:9 Warning never-matches: the rule can never match: no source here fills `process.title` (take the part out, or keep it for events of other producers)
            "#]],
        ),
        (
            query_rule(
                "query",
                "event.action:exec",
                "[[rule.filters]]\nquery.exists.field = \"process.title\"\n",
            ),
            expect![[r#"
                Ok
                1:1 Warning never-matches: the rule can never match: no source here fills `process.title` (take the part out, or keep it for events of other producers)
            "#]],
        ),
        (
            query_rule("query", "", ""),
            expect![[r#"
                Ok
                9:12 Warning matches-everything: the query is empty, so it matches every event that the rule reads (write what the rule is to look for)
            "#]],
        ),
    ] {
        check(&text, expected);
    }
}

#[test]
fn a_rule_that_searches_every_event_is_ok_with_a_warning() {
    let many: Vec<String> = (0..1_001).map(|number| format!("\"a{number}*\"")).collect();
    for (query, expected) in [
        (
            r#"process where event.action == "exec" and process.command_line like "*x*y*""#.to_owned(),
            expect![[r#"
                Ok
                9:9 Warning costly: every event's `process.command_line` is searched for a pattern that begins with a wildcard and has no longer part (put a test beside it that few events pass, such as one of `process.name`)
            "#]],
        ),
        (
            r#"process where process.args regex ".*[0-9]{3}.*" and process.args_count > 2"#.to_owned(),
            expect![[r#"
                Ok
                9:9 Warning costly: every event's `process.args` is searched for a regular expression without a fixed part (put a test beside it that few events pass, such as one of `process.name`)
            "#]],
        ),
        (
            r#"process where process.pid == 7 or (process.name == "curl" and process.command_line like "*x*y*")"#
                .to_owned(),
            expect![[r#"
                Ok
            "#]],
        ),
        (
            r#"process where process.name == "curl" and process.command_line like "*x*y*""#.to_owned(),
            expect![[r#"
                Ok
            "#]],
        ),
        (
            r#"process where process.command_line like "*curl*""#.to_owned(),
            expect![[r#"
                Ok
            "#]],
        ),
        (
            format!("process where process.args like ({})", many.join(", ")),
            expect![[r#"
                Ok
                9:9 Warning costly: `process.args` is compared with 1001 patterns (put a test beside it that few events pass, such as one of `process.name`)
            "#]],
        ),
    ] {
        check(&eql(&query), expected);
    }
}

#[test]
fn rules_that_look_for_the_same_mean_the_same_however_they_are_written() {
    let meaning = |text: &str| parse(text).expect("a sound rule").meaning();
    let one = meaning(&eql(
        r#"process where process.name == "a" and (process.pid == 1 or process.pid == 2)"#,
    ));
    let same = r#"process where (process.pid == 2 or // first
        process.pid == 1) and process.name == "a" and process.name == "a""#;
    assert_eq!(one, meaning(&eql(same)));
    for other in [
        r#"process where process.name : "a" and (process.pid == 1 or process.pid == 2)"#,
        r#"process where process.name == "a" and process.pid == 1"#,
        r#"process where process.name == "a" or (process.pid == 1 and process.pid == 2)"#,
    ] {
        assert_ne!(one, meaning(&eql(other)), "{other}");
    }
    let regex = |operator: &str| meaning(&eql(&format!(r#"process where process.name {operator} "a.*""#)));
    assert_ne!(regex("regex"), regex("regex~"));
    let elsewhere = eql(same) + "index = [\"logs-endpoint.events.process*\"]\n";
    assert_ne!(one, meaning(&elsewhere));
}

#[test]
fn many_warnings_do_not_make_an_error() {
    let parts: Vec<String> = (0..60).map(|number| format!("process.title == \"{number}\"")).collect();
    let query = format!("process where process.pid == 1 or {}", parts.join(" or "));
    let rule = parse(&eql(&query)).expect("a rule with warnings");
    let last = rule.warnings.last().expect("warnings");
    assert_eq!((last.code, last.severity), (Code::MoreFindings, Severity::Warning));
}
