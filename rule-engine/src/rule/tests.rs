use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::examples::{ExampleOutcome, run_examples};
use crate::fixture::{outcome, parse};

mod keys;
mod overrides;
mod warnings;

const HEAD: &str = r#"[rule]
rule_id = "11111111-2222-3333-4444-555555555555"
name = "A rule"
description = "What it finds."
severity = "low"
risk_score = 21
"#;

fn eql(query: &str) -> String {
    format!("{HEAD}type = \"eql\"\nlanguage = \"eql\"\nquery = '''\n{query}\n'''\n")
}

fn new_terms(tail: &str) -> String {
    format!("{HEAD}type = \"new_terms\"\nlanguage = \"kuery\"\nquery = 'event.action:exec'\n{tail}")
}

fn check(text: &str, expected: Expect) {
    let parsed = parse(text);
    let (status, diagnostics) = outcome(&parsed);
    let mut rendered = format!("{status}\n");
    for found in diagnostics {
        let help = found.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        rendered += &format!(
            "{}:{} {:?} {}: {}{help}\n",
            found.line, found.column, found.severity, found.code, found.message
        );
    }
    expected.assert_eq(&rendered);
}

#[test]
fn a_rule_keeps_what_alerts_say_about_it() {
    let text = eql("process where true")
        + "tags = [\"a\", \"b\"]\nreferences = [\"https://example.com\"]\nnote = \"look\"\n\
           [[rule.threat]]\nframework = \"MITRE ATT&CK\"\n[rule.threat.tactic]\nid = \"TA0002\"\n";
    let info = parse(&text).expect("a sound rule").info;
    assert_eq!(
        (info.severity, info.risk_score, info.rule_type),
        (RuleSeverity::Low, 21, RuleType::Eql)
    );
    assert_eq!(info.tags, ["a", "b"]);
    assert_eq!(info.note.as_deref(), Some("look"));
    assert_eq!(
        info.threat,
        serde_json::json!([{"framework": "MITRE ATT&CK", "tactic": {"id": "TA0002"}}])
    );
}

#[test]
fn a_report_in_json_says_which_rule_and_what_is_wrong_where() {
    let report = parse(&eql("process where process.nam == \"x\"")).expect_err("an unknown field");
    assert_eq!(report.to_string(), "unknown field `process.nam`");
    expect![[r#"
        {
          "rule_id": "11111111-2222-3333-4444-555555555555",
          "name": "A rule",
          "type": "eql",
          "line": 1,
          "is_unsupported": false,
          "diagnostics": [
            {
              "code": "unknown-field",
              "severity": "error",
              "message": "unknown field `process.nam`",
              "help": "did you mean `process.name`?",
              "line": 10,
              "column": 15
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&report).expect("a report is JSON"));
}

#[test]
fn errors_of_the_query_and_of_the_keys_are_found_at_once_at_their_lines() {
    let text = eql("process where process.nam == \"x\" and\n  process.pid == \"1\"")
        .replace("severity = \"low\"", "severity = \"urgent\"")
        .replace("risk_score = 21", "risk_score = 210")
        .replace("name = \"A rule\"\n", "");
    check(
        &text,
        expect![[r#"
            Error
            1:1 Error missing-key: `name` is missing in `[rule]` (add the key to the table `[rule]`)
            4:12 Error bad-value: `urgent` is none of `low`, `medium`, `high`, `critical` (see docs/rules.md for the values that this key takes)
            5:14 Error bad-value: `risk_score` must be between 0 and 100 (see docs/rules.md for the values that this key takes)
            9:15 Error unknown-field: unknown field `process.nam` (did you mean `process.name`?)
            10:18 Error type-mismatch: `process.pid` is compared with a number (write a value of the field's type)
        "#]],
    );
}

#[test]
fn a_query_in_an_escaped_text_is_placed_by_its_line_too() {
    let query = r#"query = "process where\tprocess.name == \"a\" and process.nam == 1""#;
    check(
        &format!("{HEAD}type = \"eql\"\n{query}\n"),
        expect![[r#"
            Error
            8:51 Error unknown-field: unknown field `process.nam` (did you mean `process.name`?)
        "#]],
    );
}

#[test]
fn what_is_wrong_with_files_that_are_no_rules_is_reported() {
    for (text, expected) in [
        (
            "",
            expect![[r#"
                Error
                1:1 Error missing-key: the file has no `[rule]` table (add the key to the table `[rule]`)
            "#]],
        ),
        (
            "\0\u{1}binary",
            expect![[r#"
                Error
                1:1 Error toml: invalid unquoted key, expected letters, numbers, `-`, `_` (the file has to be TOML: https://toml.io)
                1:9 Error toml: key with no value, expected `=` (the file has to be TOML: https://toml.io)
            "#]],
        ),
        (
            "[rule]\nname = \nrule_id = [1\ntype = \"eql\"",
            expect![[r#"
                Error
                1:1 Error missing-key: `type` is missing in `[rule]` (add the key to the table `[rule]`)
                2:8 Error toml: string values must be quoted, expected literal string (the file has to be TOML: https://toml.io)
                3:11 Error wrong-type: `rule_id` in `[rule]` must be a text (see docs/rules.md for what the key takes)
                4:1 Error toml: missing comma between array elements, expected `,` (the file has to be TOML: https://toml.io)
                4:1 Error toml: invalid boolean, expected `true` (the file has to be TOML: https://toml.io)
                4:6 Error toml: unexpected `=` in array, expected value, `]` (the file has to be TOML: https://toml.io)
                4:8 Error toml: missing comma between array elements, expected `,` (the file has to be TOML: https://toml.io)
                4:13 Error toml: unclosed array, expected `]` (the file has to be TOML: https://toml.io)
            "#]],
        ),
        (
            "rule = 1",
            expect![[r#"
                Error
                1:8 Error wrong-type: `rule` in `[file]` must be a table (see docs/rules.md for what the key takes)
            "#]],
        ),
        (
            "[rule]\nrule_id = 1\nname = true\ntype = []",
            expect![[r#"
                Error
                2:11 Error wrong-type: `rule_id` in `[rule]` must be a text (see docs/rules.md for what the key takes)
                3:8 Error wrong-type: `name` in `[rule]` must be a text (see docs/rules.md for what the key takes)
                4:8 Error wrong-type: `type` in `[rule]` must be a text (see docs/rules.md for what the key takes)
            "#]],
        ),
    ] {
        check(text, expected);
    }
    check(
        &"#".repeat(600 << 10),
        expect![[r#"
            Error
            1:1 Error file-too-long: the file is longer than 524288 bytes (one file holds one rule; split it)
        "#]],
    );
}

#[test]
fn what_the_engine_cannot_run_is_named_and_never_skipped() {
    for (text, expected) in [
        (
            format!("{HEAD}type = \"esql\"\nquery = 'FROM x'"),
            expect![[r#"
                Unsupported
                7:8 Error unsupported-type: rules of type `esql` are not supported (types that run are `eql`, `query`, `new_terms` and `threshold`; the others need Elasticsearch)
            "#]],
        ),
        (
            format!("{HEAD}type = \"magic\"\n"),
            expect![[r#"
                Error
                7:8 Error unknown-type: unknown rule type `magic` (types that run are `eql`, `query`, `new_terms` and `threshold`)
            "#]],
        ),
        (
            format!("{HEAD}type = \"query\"\nlanguage = \"lucene\"\nquery = 'a:b'"),
            expect![[r#"
                Error
                8:12 Error unsupported-language: rules of type `query` in `lucene` are not supported (languages that run are `eql` and `kuery`)
            "#]],
        ),
        (
            eql("process where true") + "index = [\"winlogbeat-*\"]\n[[rule.filters]]\nx = 1\n",
            expect![[r#"
                Error
                12:9 Warning index-without-source: no source here produces events of the rule's `index` patterns (events here are in `logs-endpoint.events.process-default` and `logs-cloud_defend.process-default`)
                13:1 Error unsupported-filter: a filter of this form (`x`) is not supported (write it into the query)
            "#]],
        ),
    ] {
        check(&text, expected);
    }
}

#[test]
fn new_terms_need_known_fields_and_a_window() {
    let window = "[[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-14d\"\n";
    for (tail, expected) in [
        (
            format!(
                "[rule.new_terms]\nfield = \"new_terms_fields\"\nvalue = [\"process.name\", \"host.id\"]\n{window}"
            ),
            expect![[r#"
            Ok
        "#]],
        ),
        (
            String::new(),
            expect![[r#"
                Error
                1:1 Error missing-key: `[rule.new_terms]` is missing (add the key to the table `[rule]`)
            "#]],
        ),
        (
            "[rule.new_terms]\nvalue = [\"proces.name\"]\n".to_owned(),
            expect![[r#"
                Error
                10:1 Error missing-key: `[[rule.new_terms.history_window_start]]` with a `value` is missing (add the key to the table `[rule]`)
                11:10 Error unknown-field: unknown field `proces.name` (did you mean `process.name`?)
            "#]],
        ),
        (
            format!("[rule.new_terms]\nvalue = []\n{}", window.replace("now-14d", "14 days")),
            expect![[r#"
                Error
                10:1 Error bad-value: `value` in `[rule.new_terms]` must name 1 to 3 fields (see docs/rules.md for the values that this key takes)
                14:9 Error bad-value: `14 days` is not a length of time such as `now-14d` (units are `s`, `m`, `h`, `d` and `w`)
            "#]],
        ),
        (
            format!(
                "[rule.new_terms]\nvalue = [\"process.name\"]\n{window}[engine]\nlearn_for = \"soon\"\nlearnfor = 1\n"
            ),
            expect![[r#"
                Error
                16:13 Error bad-value: `soon` is not a length of time such as `1h` (units are `s`, `m`, `h`, `d` and `w`)
                17:1 Error unknown-key: unknown key `learnfor` in `[engine]` (did you mean `learn_for`?)
            "#]],
        ),
    ] {
        check(&new_terms(&tail), expected);
    }
}

#[test]
fn a_threshold_needs_known_fields_and_counts() {
    let threshold =
        |tail: &str| format!("{HEAD}type = \"threshold\"\nlanguage = \"kuery\"\nquery = 'event.action:exec'\n{tail}");
    let cardinality = "[[rule.threshold.cardinality]]\nfield = \"process.args\"\nvalue = 3\n";
    for (tail, expected) in [
        (
            format!("from = \"now-9m\"\n[rule.threshold]\nfield = [\"host.id\"]\nvalue = 5\n{cardinality}"),
            expect![[r#"
            Ok
        "#]],
        ),
        (
            String::new(),
            expect![[r#"
                Error
                1:1 Error missing-key: `[rule.threshold]` is missing (add the key to the table `[rule]`)
            "#]],
        ),
        (
            "from = \"yesterday\"\n[rule.threshold]\nfield = [\"host.idd\"]\nvalue = 0\n".to_owned(),
            expect![[r#"
                Error
                10:8 Error bad-value: `yesterday` is not a length of time such as `now-9m` (units are `s`, `m`, `h`, `d` and `w`)
                12:10 Error unknown-field: unknown field `host.idd` (did you mean `host.id`?)
                13:9 Error bad-value: `value` in `[threshold]` must be a number from 1 to 1000 (see docs/rules.md for the values that this key takes)
            "#]],
        ),
        (
            format!(
                "[rule.threshold]\nvalue = 5\n{cardinality}{}",
                cardinality.replace("value = 3\n", "")
            ),
            expect![[r#"
                Error
                15:1 Error unsupported-key: more than one `cardinality` is not supported (take it out if the rule means the same without it)
            "#]],
        ),
    ] {
        check(&threshold(&tail), expected);
    }
}

#[test]
fn a_rules_own_examples_are_run_on_top_of_what_every_event_has() {
    let text = eql("process where process.name == \"apt\" and container.id like \"*\"")
        + r#"
[engine.every_event]
event.category = ["process"]
container.id = "abc"
process.name = "apt"

[[engine.examples]]
name = "in a container"
expect = "match"
events = [{ process.pid = 1 }]

[[engine.examples]]
name = "on the host"
expect = "no-match"
events = [{ container.id = [] }]

[[engine.examples]]
name = "wrongly expected"
expect = "match"
events = [{ process.name = "apt" }, { process.name = "dpkg" }]
"#;
    let rule = parse(&text).expect("a sound rule");
    let outcomes = run_examples(&rule);
    assert_eq!(
        outcomes.iter().map(ExampleOutcome::passed).collect::<Vec<_>>(),
        [true, true, false]
    );
}

#[test]
fn examples_that_say_nothing_are_errors() {
    let text = eql("process where true")
        + "[[engine.examples]]\nname = \"a\"\nexpect = \"maybe\"\nevents = [{ process.nam = 1, process.pid = \"x\" }]\nevnts = 1\n";
    check(
        &text,
        expect![[r#"
            Error
            12:1 Error bad-example: an example needs `name`, `expect` and at least one of `events` (an example has a `name`, `expect` (`match` or `no-match`) and `events`, a list of ECS documents)
            14:10 Error bad-value: `maybe` is neither `match` nor `no-match` (see docs/rules.md for the values that this key takes)
            15:11 Error bad-example: the example's event has 1 unknown fields and 1 values that do not fit theirs (an example has a `name`, `expect` (`match` or `no-match`) and `events`, a list of ECS documents)
            16:1 Error unknown-key: unknown key `evnts` in `[examples]` (did you mean `events`?)
        "#]],
    );
}

#[test]
fn findings_past_the_limit_are_counted_in_the_report() {
    let query = format!("any where {} true", "process.nam == 1 or ".repeat(1_000));
    let report = parse(&eql(&query)).expect_err("unknown fields");
    let last = report.diagnostics.last().expect("findings");
    assert_eq!(last.message, "950 more findings are not shown");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in r#"(\[rule\]|\[\[?engine\.[a-z_]+\]\]?|type = "(eql|query|new_terms)"|query = ["'](process where |a:b)|name = |value|[a-z"'=\[\]{}.,\\ \n0-9é#]){0,40}"#
    ) {
        let parsed = parse(&text);
        prop_assert!(parsed.is_ok() || !outcome(&parsed).1.is_empty());
    }
}
