use expect_test::{Expect, expect};

use super::*;
use crate::fixture::{OPTIONS, parse_eql};
use crate::language::kql;

fn rendered(findings: &Findings, query: &str) -> String {
    assert!(!findings.has_errors(), "{query}: {:?}", findings.list);
    let lines = findings.list.iter().map(|finding| {
        let place = &query[finding.span.start as usize..finding.span.end as usize];
        format!("{} at `{place}`: {}\n", finding.code, finding.message)
    });
    lines.collect()
}

fn warnings_of_eql(query: &str) -> String {
    let mut findings = Findings::default();
    parse_eql(&OPTIONS, query, &mut findings);
    rendered(&findings, query)
}

fn check_kql(query: &str, expected: Expect) {
    let mut findings = Findings::default();
    kql::parse(&OPTIONS, query, &mut findings);
    expected.assert_eq(&rendered(&findings, query));
}

fn check_each(cases: impl IntoIterator<Item = (&'static str, Expect)>) {
    for (query, expected) in cases {
        expected.assert_eq(&warnings_of_eql(query));
    }
}

#[test]
fn a_rule_that_needs_what_nothing_here_fills_is_reported() {
    check_each([
        (
            r#"process where process.hash.md5 == "a" and process.pid == 1"#,
            expect![[r#"
                never-matches at `process.hash.md5 == "a"`: the rule can never match: no source here fills `process.hash.md5`
            "#]],
        ),
        (
            r#"process where length(process.title) > 1"#,
            expect![[r#"
            never-matches at `length(process.title) > 1`: the rule can never match: no source here fills `process.title`
        "#]],
        ),
        (
            r#"file where true"#,
            expect![[r#"
            never-matches at `file`: the rule can never match: `event.category` is `process` or `host` in events from here
        "#]],
        ),
        (
            r#"process where event.action in ("connected", "listened")"#,
            expect![[r#"
                never-matches at `event.action in ("connected", "listened")`: the rule can never match: `event.action` is `fork` or `exec` or `end` or `records-lost` or `container-over-share` or `output-refused` or `output-behind` or `log-lines-dropped` or `thread-lost` or `hook-blind` or `hooks-untried` or `kernel-side-changed` or `sensor-signalled` or `sensor-traced` or `limit-changed` or `events-behind` or `clock-set` or `sensor-stood-still` or `sensor-ended-uncleanly` or `handover-gap` or `processes-given-up` or `rule-forgot` or `state-not-written` or `engine-failing` or `call-refused` or `notices-missed` or `heartbeat` in events from here
            "#]],
        ),
        (
            r#"process where event.type == "change" or event.type like "cr*""#,
            expect![[r#"
                never-matches at `event.type == "change"`: the rule can never match: `event.type` is `start` or `end` or `info` in events from here
            "#]],
        ),
        (r#"process where ?no.such.field == "a""#, expect![""]),
        (
            r#"process where process.title != null"#,
            expect![[r#"
            never-matches at `process.title != null`: the rule can never match: no source here fills `process.title`
        "#]],
        ),
        (
            r#"process where not (process.title == null or process.pid == 1)"#,
            expect![[r#"
                never-matches at `process.title == null`: the rule can never match: no source here fills `process.title`
            "#]],
        ),
        (
            r#"sequence by process.hash.md5 [process where true] [network where true] until [file where true]"#,
            expect![[r#"
                never-matches at `process.hash.md5`: the rule can never match: no source here fills `process.hash.md5`
                never-matches at `network`: the rule can never match: `event.category` is `process` or `host` in events from here
                never-matches at `file`: the event behind `until` can never match: `event.category` is `process` or `host` in events from here
            "#]],
        ),
        (
            r#"sequence with maxspan=1s [process where true] ![file where true] [process where process.title : "*"]"#,
            expect![[r#"
                never-matches at `file`: the missing event can never match: `event.category` is `process` or `host` in events from here
                never-matches at `process.title : "*"`: the rule can never match: no source here fills `process.title`
            "#]],
        ),
    ]);
}

#[test]
fn a_part_that_can_never_match_is_reported_beside_others_that_can() {
    check_each([
        (
            r#"process where process.pid == 1 or (process.title : "a*" and process.pid == 2) or process.pid == 3"#,
            expect![[r#"
                never-matches at `process.title : "a*"`: this part can never match: no source here fills `process.title`
            "#]],
        ),
        (
            r#"process where not (process.title : "a" or process.name == "b")"#,
            expect![[r#"
                never-matches at `process.title : "a"`: this part can never match: no source here fills `process.title`
            "#]],
        ),
        (
            r#"any where event.category == "file" or event.action == "exec""#,
            expect![[r#"
                never-matches at `event.category == "file"`: this part can never match: `event.category` is `process` or `host` in events from here
            "#]],
        ),
    ]);
    check_kql(
        "process.title:a or process.pid:(1 or 2) or event.action:connected",
        expect![[r#"
            never-matches at `process.title:a`: this part can never match: no source here fills `process.title`
            never-matches at `event.action:connected`: this part can never match: `event.action` is `fork` or `exec` or `end` or `records-lost` or `container-over-share` or `output-refused` or `output-behind` or `log-lines-dropped` or `thread-lost` or `hook-blind` or `hooks-untried` or `kernel-side-changed` or `sensor-signalled` or `sensor-traced` or `limit-changed` or `events-behind` or `clock-set` or `sensor-stood-still` or `sensor-ended-uncleanly` or `handover-gap` or `processes-given-up` or `rule-forgot` or `state-not-written` or `engine-failing` or `call-refused` or `notices-missed` or `heartbeat` in events from here
        "#]],
    );
}

#[test]
fn what_can_match_is_not_reported() {
    for query in [
        r#"process where process.title != "a" and not process.hash.md5 == "b""#,
        r#"process where process.title == null and ?no.such.field == null"#,
        r#"process where event.action in ("exec", "exec_event") and event.type == "start" and event.type != "end""#,
        r#"any where event.type == "start" and event.type == "end""#,
        r#"process where process.args == "a" and process.args == "b""#,
        r#"process where process.name : ("a*", "b") and process.name : "B" and process.name != "a""#,
        r#"process where process.name == "a" and process.name like "?""#,
        r#"process where process.pid > 5 and process.pid < 7 and process.pid != 5"#,
        r#"process where process.name : "a" and not process.name == "a""#,
        r#"process where container.labels.a == "x" and container.labels.b == "y""#,
        r#"process where process.name regex "a.*" and process.name regex "b.*""#,
    ] {
        assert_eq!(warnings_of_eql(query), "", "{query}");
    }
}

#[test]
fn tests_of_one_value_that_exclude_one_another_are_reported() {
    check_each([
        (
            r#"any where event.action == "exec" and event.action == "fork""#,
            expect![[r#"
                never-matches at `event.action == "exec" and event.action == "fork"`: the rule can never match: no one value of `event.action` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.name in ("a", "b") and (process.pid == 1 and process.name like "c*")"#,
            expect![[r#"
                never-matches at `process.name in ("a", "b") and (process.pid == 1 and process.name like "c*")`: the rule can never match: no one value of `process.name` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.name : ("a", "b") and process.name : "C""#,
            expect![[r#"
                never-matches at `process.name : ("a", "b") and process.name : "C"`: the rule can never match: no one value of `process.name` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.name == "a" and not process.name : "A*""#,
            expect![[r#"
                never-matches at `process.name == "a" and not process.name : "A*"`: the rule can never match: no one value of `process.name` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.name == null and process.name like "a*""#,
            expect![[r#"
                never-matches at `process.name == null and process.name like "a*"`: the rule can never match: no one value of `process.name` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.pid > 5 and process.pid < 6"#,
            expect![[r#"
            never-matches at `process.pid > 5 and process.pid < 6`: the rule can never match: no one value of `process.pid` passes all of its tests
        "#]],
        ),
        (
            r#"any where process.interactive == true and process.interactive == false"#,
            expect![[r#"
                never-matches at `process.interactive == true and process.interactive == false`: the rule can never match: no one value of `process.interactive` passes all of its tests
            "#]],
        ),
        (
            r#"any where @timestamp > "2026-01-02" and @timestamp < "2026-01-01""#,
            expect![[r#"
                never-matches at `@timestamp > "2026-01-02" and @timestamp < "2026-01-01"`: the rule can never match: no one value of `@timestamp` passes all of its tests
            "#]],
        ),
        (
            r#"any where process.pid == 7 or (process.exit_code == 0 and process.exit_code != 0)"#,
            expect![[r#"
                never-matches at `(process.exit_code == 0 and process.exit_code != 0)`: this part can never match: no one value of `process.exit_code` passes all of its tests
            "#]],
        ),
    ]);
    check_kql(
        "process.name:a and process.name:b",
        expect![[r#"
        never-matches at `process.name:a and process.name:b`: the rule can never match: no one value of `process.name` passes all of its tests
    "#]],
    );
}

#[test]
fn long_lists_are_compared_with_one_another() {
    let list = |numbers: std::ops::Range<usize>| -> String {
        let names: Vec<String> = numbers.map(|number| format!("\"n{number}\"")).collect();
        names.join(", ")
    };
    for (excluded, can_match) in [(list(0..7_999), true), (list(0..8_000), false)] {
        let query = format!(
            "process where process.name in ({}) and not process.name in ({excluded})",
            list(0..8_000)
        );
        assert_eq!(warnings_of_eql(&query).is_empty(), can_match);
    }
}

#[test]
fn a_prepared_test_comes_out_as_by_its_definition() {
    let texts = ["", "a", "A", "ab", "Ab*", "b"];
    let named: Vec<String> = ["A", "ab"].map(str::to_owned).into();
    let patterns: Vec<Pattern> = ["a", "*B*", "?"].map(Pattern::from_like).into();
    let cases = [Case::Sensitive, Case::Insensitive];
    let mut tests = vec![
        Test::Exists,
        Test::TextOrder(Order::Less, "ab".to_owned()),
        Test::NumberIn(vec![Number::Long(1), Number::Long(3)]),
        Test::NumberIn(vec![Number::Long(1), Number::Float(2.0)]),
        Test::NumberOrder(Order::Greater, Number::Float(1.5)),
        Test::Boolean(true),
        Test::DateIn(vec![1..=1, 3..=3]),
        Test::DateOrder(Order::LessOrEqual, 1),
    ];
    tests.extend(cases.map(|case| Test::TextIn(named.clone(), case)));
    tests.extend(cases.map(|case| Test::Like(patterns.clone(), case)));
    let numbers = (0..4).map(|number| (Value::Long(number), FieldType::Long));
    let floats = [1.0, 1.5, 2.0].map(|number| (Value::Float(number), FieldType::Float));
    let dates = (0..4).map(|date| (Value::Date(date), FieldType::Date));
    let truths = [false, true].map(|truth| (Value::Boolean(truth), FieldType::Boolean));
    let texts = texts.map(|text| (Value::Text(text), FieldType::Keyword));
    let values: Vec<_> = numbers.chain(floats).chain(dates).chain(truths).chain(texts).collect();
    for test in &tests {
        for (value, value_type) in &values {
            for outcome in [true, false] {
                let prepared = PreparedTest::new(Wanted { test, outcome }, *value_type);
                let expected = passes(test, *value) == outcome;
                assert_eq!(prepared.comes_out(*value), expected, "{test:?} {value:?} {outcome}");
            }
        }
    }
}
