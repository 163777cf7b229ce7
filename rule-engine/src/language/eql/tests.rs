use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::compile::graph::CompiledCondition;
use crate::condition::Condition;
use crate::diagnostic::{Code, Severity};
use crate::fixture::{OPTIONS, parse_eql};
use crate::naive::generate::broken;
use crate::record::Record;

mod conditions;
mod errors;
mod functions;

/// An event query's condition.
fn parse(query: &str, findings: &mut Findings) -> Option<Condition> {
    match parse_eql(&OPTIONS, query, findings)? {
        Detection::Single { condition, .. } => Some(condition),
        other => panic!("{query} is no event query: {other:?}"),
    }
}

fn record(document: Json) -> Record {
    let Json::Object(document) = document else {
        panic!("not an object: {document}")
    };
    let mut record = Record::new();
    record.fill_from_document(&document);
    record
}

/// Whether an event of the given document satisfies the condition.
fn matches(condition: &str, document: Json) -> bool {
    let mut findings = Findings::default();
    let parsed = parse(&format!("any where {condition}"), &mut findings);
    let Some(parsed) = parsed else {
        panic!("{condition}: {:?}", findings.list)
    };
    CompiledCondition::compile(&parsed).matches(&record(document))
}

fn check_each(document: &Json, cases: &[(&str, bool)]) {
    for (condition, expected) in cases {
        assert_eq!(
            matches(condition, document.clone()),
            *expected,
            "{condition} on {document}"
        );
    }
}

fn check_errors(query: &str, expected: Expect) {
    let mut findings = Findings::default();
    let parsed = parse_eql(&OPTIONS, query, &mut findings);
    assert!(
        parsed.is_none() || !findings.has_errors(),
        "a condition in spite of errors"
    );
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
            format!("{} at `{place}`: {}{help}\n", finding.code, finding.message)
        })
        .collect();
    expected.assert_eq(&rendered.concat());
}

#[test]
fn comparisons_of_one_text_keep_case_and_expand_nothing() {
    check_each(
        &json!({"process.name": "Curl"}),
        &[
            (r#"process.name == "Curl""#, true),
            (r#"process.name == "curl""#, false),
            (r#"process.name == "C*""#, false),
            (r#"process.name != "Curl""#, false),
            (r#"process.name != "curl""#, true),
            (r#""Curl" == process.name"#, true),
            (r#"process.name in ("wget", "Curl")"#, true),
            (r#"process.name in ("wget", "curl", "C*")"#, false),
            (r#"process.name not in ("wget", "Curl")"#, false),
            (r#"process.name in~ ("wget", "CURL")"#, true),
            (r#"process.name in~ ("C*")"#, false),
            (r#"process.name : "curl""#, true),
            (r#"process.name : ("x", "CU?L")"#, true),
            (r#"process.name : "*UR*""#, true),
            (r#"process.name like "C*""#, true),
            (r#"process.name like "c*""#, false),
            (r#"process.name like "C?rl""#, true),
            (r#"process.name like "C?l""#, false),
            (r#"process.name like~ ("c*", "x")"#, true),
            (r#"process.name not like ("C*")"#, false),
            (r#"process.name not like~ ("x*")"#, true),
            (r#"process.name regex "[A-C]ur.""#, true),
            (r#"process.name regex "ur""#, false),
            (r#"process.name regex ("x", "C.*")"#, true),
            (r#"process.name regex~ "cURl""#, true),
            (r#"process.name not regex "Curl""#, false),
            (r#"process.name.caseless == "curl""#, true),
            (r#"process.name < "D""#, true),
            (r#"process.name >= "Curl""#, true),
        ],
    );
}

#[test]
fn a_missing_field_fails_every_comparison_and_passes_every_negation() {
    let document = json!({"process.name": []});
    for positive in [
        r#"process.name == """#,
        r#"process.name in ("a")"#,
        r#"process.name in~ ("a")"#,
        r#"process.name like "*""#,
        r#"process.name : "*""#,
        r#"process.name < "z""#,
        r#"process.name regex ".*""#,
        "process.pid == 0",
        "process.pid >= 0",
        "process.pid <= 0",
        "process.interactive == true",
        "process.interactive == false",
        "process.interactive",
        r#"@timestamp > "1970-01-01""#,
        "process.name != null",
        "?no.such.field != null",
        r#"?no.such.field == "a""#,
        r#"?no.such.field : "*""#,
        r#"?process.name == "a""#,
    ] {
        assert!(!matches(positive, document.clone()), "{positive}");
        assert!(
            matches(&format!("not ({positive})"), document.clone()),
            "not ({positive})"
        );
    }
    check_each(
        &document,
        &[
            ("process.name == null", true),
            ("null == process.name", true),
            ("?no.such.field == null", true),
            (r#"process.name != "a""#, true),
            (r#"process.name not in ("a")"#, true),
            (r#"process.name not like "*""#, true),
            ("process.pid != 1", true),
        ],
    );
}

#[test]
fn an_array_passes_when_any_element_does_and_a_negation_when_none_does() {
    check_each(
        &json!({"process.args": ["apt", "Install", "curl"], "process.pid": [1, 5], "process.interactive": [true, false]}),
        &[
            (r#"process.args == "curl""#, true),
            (r#"process.args != "curl""#, false),
            (r#"process.args == "apt" and process.args == "curl""#, true),
            (r#"process.args in ("x", "apt")"#, true),
            (r#"process.args not in ("x", "apt")"#, false),
            (r#"not process.args == "wget""#, true),
            (r#"process.args : "install""#, true),
            (r#"process.args like "inst*""#, false),
            (r#"process.args regex "c.*l""#, true),
            (r#"not process.args regex "c.*l""#, false),
            ("process.pid == 1 and process.pid == 5", true),
            ("process.pid < 2 and process.pid > 4", true),
            ("process.pid != 1", false),
            ("process.pid != 2", true),
            ("process.interactive == true and process.interactive == false", true),
            ("process.args != null", true),
        ],
    );
}

#[test]
fn numbers_booleans_and_dates_compare_by_value() {
    check_each(
        &json!({"process.pid": 7, "process.interactive": true, "@timestamp": "2026-01-02T00:00:00Z", "host.cpu.usage": 0.5}),
        &[
            ("process.pid == 7", true),
            ("process.pid == 7.0", true),
            ("process.pid in (6, 7)", true),
            ("process.pid < 7", false),
            ("process.pid <= 7", true),
            ("7 >= process.pid", true),
            ("8 > process.pid", true),
            ("process.pid > -1", true),
            ("host.cpu.usage > 0.25", true),
            ("host.cpu.usage == 5e-1", true),
            ("process.interactive == true", true),
            ("process.interactive", true),
            ("process.interactive != false", true),
            ("not process.interactive", false),
            ("process.interactive in (true, false)", true),
            (r#"@timestamp > "2026-01-01""#, true),
            (r#"@timestamp == "2026-01-02T01:00:00+01:00""#, true),
            ("true", true),
            ("false", false),
        ],
    );
}

#[test]
fn arithmetic_binds_by_precedence_and_counts_as_the_functions_do() {
    check_each(
        &json!({"process.pid": 7, "process.args_count": [2, 3], "host.cpu.usage": 0.5}),
        &[
            ("process.pid + 1 == 8", true),
            ("process.pid - 1 - 1 == 5", true),
            ("process.pid -1 == 6", true),
            ("1 + process.pid * 2 == 15", true),
            ("(process.pid + 1) * 2 == 15", false),
            ("process.pid / 2 == 3", true),
            ("process.pid / 2.0 == 3.5", true),
            ("process.pid % 4 == 3", true),
            ("process.pid + 1 in (7, 4 + 4)", true),
            ("process.pid == 2 * 3 + 1", true),
            ("process.pid == -7 + 14", true),
            ("8 > process.pid + 1", false),
            ("process.pid + process.args_count == 10", true),
            ("process.pid + process.parent.pid == null", true),
            ("host.cpu.usage == .5", true),
            ("host.cpu.usage < 1.", true),
            ("host.cpu.usage * 1e1 == 5", true),
        ],
    );
}

#[test]
fn not_binds_tighter_than_and_and_and_tighter_than_or() {
    let document = json!({"process.pid": 1});
    check_each(
        &document,
        &[
            ("true or false and false", true),
            ("(true or false) and false", false),
            ("not false and false", false),
            ("not (false and false)", true),
            ("not not process.pid == 1", true),
            ("not process.pid == 1 or true", true),
            ("false and true or true", true),
        ],
    );
}

#[test]
fn texts_names_and_comments_are_read_as_written() {
    check_each(
        &json!({"process.name": "a\"b\\c\té", "process.args": ["x\\*y", "ends\""], "container.labels": {"com.a-b": "v"}}),
        &[
            (r#"process.name == "a\"b\\c\t\u{e9}""#, true),
            ("process.name == \"\"\"a\"b\\c\té\"\"\"", true),
            (r#"process.args == """x\*y""""#, true),
            (r#"process.args == """ends"""""#, true),
            (r#"`process.name` != null"#, true),
            (r#"process.`name` != null"#, true),
            (r#"`container.labels.com.a-b` == "v""#, true),
            (r#"container.labels.com.`a-b` like "v*""#, true),
            (r#"`container.labels.com.a-b` == "w""#, false),
            ("// first\ntrue /* and\n false */ // last", true),
        ],
    );
}

#[test]
fn the_category_is_any_element_of_event_category() {
    let event = record(json!({"event.category": ["file", "process"]}));
    for (query, expected) in [
        ("process where true", true),
        ("file where true", true),
        ("network where true", false),
        (r#""process" where true"#, true),
        ("any where true", true),
    ] {
        let parsed = parse(query, &mut Findings::default()).expect(query);
        assert_eq!(CompiledCondition::compile(&parsed).matches(&event), expected, "{query}");
    }
}

#[test]
fn every_limit_is_an_error_of_the_query() {
    let code = |query: String| {
        let mut findings = Findings::default();
        assert!(parse(&query, &mut findings).is_none());
        findings.list[0].code
    };
    assert_eq!(
        code(format!("any where {}true{}", "(".repeat(10_000), ")".repeat(10_000))),
        Code::Nesting
    );
    assert_eq!(code(format!("any where {}true", "not ".repeat(10_000))), Code::Nesting);
    assert_eq!(
        code(format!("any where process.pid{} == 1", " + process.pid".repeat(1_000))),
        Code::Nesting
    );
    assert_eq!(
        code(format!("any where process.pid in ({}1)", "1,".repeat(10_000))),
        Code::ListTooLong
    );
    assert_eq!(
        code(format!("any where process.name like \"{}\"", "a*".repeat(1_000))),
        Code::PatternTooLong
    );
    assert_eq!(
        code(format!("any where {}true", " ".repeat(300_000))),
        Code::QueryTooLong
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in r#"(any where )?([a-z.?~`"'()\[\]{}<>=!:,|*/\\ \n0-9é]|process\.(name|pid)|and|or|not |in|like|==|"a"|null|"""|true){0,60}"#) {
        let mut findings = Findings::default();
        let parsed = parse_eql(&OPTIONS, &text, &mut findings);
        prop_assert!(parsed.is_some() || findings.has_errors());
    }
}
