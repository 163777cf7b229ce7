use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::condition::Condition;
use crate::matcher::{Evaluation, Matcher};
use crate::record::Record;

/// An event query's condition.
fn parse(query: &str, findings: &mut Findings) -> Option<Condition> {
    match super::parse(query, findings)? {
        Detection::Event(condition) => Some(condition),
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
    Matcher::compile(&parsed).matches(&Evaluation::new(&record(document)))
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
    let parsed = super::parse(query, &mut findings);
    assert!(
        parsed.is_none() || !findings.has_errors(),
        "a condition in spite of errors"
    );
    let shown: Vec<String> = findings
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
    expected.assert_eq(&shown.concat());
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
        assert_eq!(
            Matcher::compile(&parsed).matches(&Evaluation::new(&event)),
            expected,
            "{query}"
        );
    }
}

#[test]
fn all_unknown_fields_and_misfits_are_noted_at_once() {
    check_errors(
        r#"process where process.nam == "a" and process.pid == "1" and (process.tty == null or not process.name in (1, true)) and process.interactive == "true" and process.interactive > 1 and process.pid : "1" and ?process.pid == "x""#,
        expect![[r#"
            unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
            type-mismatch at `"1"`: `process.pid` is compared with a number
            field-group at `process.tty`: `process.tty` has no value of its own, only fields below it
            type-mismatch at `1`: `process.name` is compared with a text in double quotes
            type-mismatch at `true`: `process.name` is compared with a text in double quotes
            type-mismatch at `"true"`: `process.interactive` is compared with `true` or `false`
            type-mismatch at `1`: `process.interactive` has no order: it is a boolean
            type-mismatch at `process.pid`: `process.pid` is not a text, so it is like no pattern
            type-mismatch at `"x"`: `process.pid` is compared with a number
        "#]],
    );
}

#[test]
fn what_is_no_eql_is_named_where_it_stands() {
    for (query, expected) in [
        (
            "",
            expect![[r#"
            syntax at ``: expected an event category or `any`, found the end of the query
        "#]],
        ),
        (
            "process",
            expect![[r#"
            syntax at ``: expected `where`, found the end of the query
        "#]],
        ),
        (
            "process where",
            expect![[r#"
            syntax at ``: expected a field, a value or `(`, found the end of the query
        "#]],
        ),
        (
            r#"any where process.name = "a""#,
            expect![[r#"
            single-equals at `=`: a single `=` is no operator (write `==`)
        "#]],
        ),
        (
            "any where process.name == 'a' or process.name == 'b'",
            expect![[r#"
            single-quotes at `'`: single quotes do not enclose a text (write texts in double quotes)
            single-quotes at `'`: single quotes do not enclose a text (write texts in double quotes)
        "#]],
        ),
        (
            r#"any where process.name == "a"#,
            expect![[r#"
            unclosed-text at `"`: the text has no closing `"`
        "#]],
        ),
        (
            r#"any where process.name == "\q\w""#,
            expect![[r#"
            unknown-escape at `\q`: unknown escape in a text (use `\\`, `\"`, `\n`, `\r`, `\t`, `\b`, `\f` or `\u{..}`, or a raw text in `"""`)
            unknown-escape at `\w`: unknown escape in a text (use `\\`, `\"`, `\n`, `\r`, `\t`, `\b`, `\f` or `\u{..}`, or a raw text in `"""`)
        "#]],
        ),
        (
            "any where process.name == process.parent.name",
            expect![[r#"
            field-comparison at `process.name == process.parent.name`: a field cannot be compared with another field
        "#]],
        ),
        (
            "any where 1 == 1",
            expect![[r#"
            constant at `1 == 1`: both sides are constant
        "#]],
        ),
        (
            "any where process.name",
            expect![[r#"
            not-a-condition at `process.name`: `process.name` alone is not a condition: it is not a boolean
        "#]],
        ),
        (
            r#"any where "a""#,
            expect![[r#"
            not-a-condition at `"a"`: a value alone is not a condition
        "#]],
        ),
        (
            r#"any where process.name regex ("a", "~b")"#,
            expect![[r#"
            regex at `"~b"`: the operator `~` (complement) is not supported
        "#]],
        ),
        (
            r#"any where process.name regex "((a{1000}){1000}){1000}""#,
            expect![[r#"
            regex-too-large at `"((a{1000}){1000}){1000}"`: the regular expression needs too large an automaton
        "#]],
        ),
        (
            "any where process.pid in 1",
            expect![[r#"
            syntax at `1`: expected `(` and a list, found something else
        "#]],
        ),
        (
            "any where (true",
            expect![[r#"
            syntax at ``: expected `and`, `or` or `)`, found the end of the query
        "#]],
        ),
        (
            "any where true | head 5",
            expect![[r#"
            pipe at `|`: pipes have no meaning on an endless stream of events
        "#]],
        ),
        (
            "sample by host.id [any where true]",
            expect![[r#"
            sample at `sample`: `sample` has no meaning on an endless stream of events
        "#]],
        ),
        (
            "any where process.pid + 1 == 2",
            expect![[r#"
            arithmetic at `+`: arithmetic is written with functions: `add(a, b)`
        "#]],
        ),
        (
            "any where true /* never closed",
            expect![[r#"
            unclosed-comment at `/*`: the comment has no `*/`
        "#]],
        ),
        (
            "any where process.pid == 99999999999999999999",
            expect![[r#"
            number-too-large at `99999999999999999999`: the number is too large
        "#]],
        ),
    ] {
        check_errors(query, expected);
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
        "nesting"
    );
    assert_eq!(code(format!("any where {}true", "not ".repeat(10_000))), "nesting");
    assert_eq!(
        code(format!("any where process.pid in ({}1)", "1,".repeat(10_000))),
        "list-too-long"
    );
    assert_eq!(
        code(format!("any where process.name like \"{}\"", "a*".repeat(1_000))),
        "pattern-too-long"
    );
    assert_eq!(code(format!("any where {}true", " ".repeat(100_000))), "query-too-long");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in r#"(any where )?([a-z.?~`"'()\[\]{}<>=!:,|*/\\ \n0-9é]|process\.(name|pid)|and|or|not |in|like|==|"a"|null|"""|true){0,60}"#) {
        let mut findings = Findings::default();
        let parsed = super::parse(&text, &mut findings);
        prop_assert!(parsed.is_some() || findings.has_errors());
    }
}

#[test]
fn functions_compute_what_their_names_say() {
    check_each(
        &json!({
            "process.name": "Bash.sh", "process.executable": "/bin/Bash.sh", "process.pid": 7, "process.title": "12",
            "process.command_line": "Bash.sh -c x", "process.working_directory": "héé",
        }),
        &[
            (r#"startsWith(process.name, "Bash")"#, true),
            (r#"startsWith(process.name, "bash")"#, false),
            (r#"startswith~(process.name, "bash")"#, true),
            (r#"endsWith(process.name, ".sh")"#, true),
            (r#"endsWith~(process.name, ".SH")"#, true),
            (r#"stringContains(process.name, "sh.")"#, true),
            (r#"stringContains(process.name, "*")"#, false),
            (r#"stringContains~(process.name, "H.S")"#, true),
            ("startsWith(process.command_line, process.name)", true),
            ("startsWith(process.name, process.command_line)", false),
            ("not endsWith(process.executable, process.name)", false),
            ("length(process.name) == 7", true),
            ("length(process.working_directory) == 3", true),
            (r#"indexOf(process.name, "s") == 2"#, true),
            (r#"indexOf(process.name, "s", 3) == 5"#, true),
            (r#"indexOf(process.name, "z") == null"#, true),
            (r#"indexOf~(process.name, "B") == 0"#, true),
            (r#"substring(process.name, 5) == "sh""#, true),
            (r#"substring(process.name, -2) : "SH""#, true),
            (r#"substring(process.name, 1, 3) == "as""#, true),
            (r#"substring(process.name, 3, 1) == """#, true),
            (r#"between(process.executable, "/", ".") == "bin/Bash""#, true),
            (r#"between(process.executable, "/b", "/") == "in""#, true),
            (r#"between~(process.executable, "/B", "/") == "in""#, true),
            (r#"between(process.command_line, "a", "s", true) == "sh.""#, true),
            (r#"between(process.command_line, "a", "s") == """#, true),
            (r#"between(process.name, "x", "y") == """#, true),
            (
                r#"concat(process.name, ":", process.pid, true) == "Bash.sh:7true""#,
                true,
            ),
            (r#"string(process.pid) == "7""#, true),
            ("number(process.title) == 12", true),
            ("number(process.title, 16) == 18", true),
            (r#"number("0x1f") == 31"#, true),
            ("number(process.name) == null", true),
            ("add(process.pid, 1) == 8", true),
            ("subtract(process.pid, 10) < 0", true),
            ("multiply(process.pid, 2) in (13, 14)", true),
            ("divide(process.pid, 2) == 3", true),
            ("divide(process.pid, 2.0) == 3.5", true),
            ("divide(process.pid, 0) == null", true),
            ("modulo(process.pid, 4) == 3", true),
            ("modulo(process.pid, 0) != null", false),
            ("add(multiply(process.pid, 2), length(process.name)) >= 21", true),
            (r#"8 == add(process.pid, 1)"#, true),
        ],
    );
}

#[test]
fn functions_give_null_for_null_and_any_element_counts() {
    check_each(
        &json!({"process.args": ["a", "bbb"], "process.parent.args": ["b"], "source.ip": ["10.1.2.3", "::1"]}),
        &[
            ("length(process.name) == 0", false),
            ("not length(process.name) == 0", true),
            ("length(process.name) != 0", true),
            ("length(process.name) == null", true),
            (r#"startsWith(process.name, "")"#, false),
            ("not startsWith(process.args, process.name)", true),
            (r#"concat(process.args, ?no.such.field) == null"#, true),
            ("length(process.args) == 1 and length(process.args) == 3", true),
            ("length(process.args) != 3", false),
            ("startsWith(process.args, process.parent.args)", true),
            ("startsWith(process.parent.args, process.args)", false),
            (r#"concat(process.args, process.args) in ("abbb", "bbba")"#, false),
            (r#"cidrMatch(source.ip, "192.168.0.0/16", "10.0.0.0/8")"#, true),
            (r#"not cidrmatch(source.ip, "::/64")"#, false),
            (r#"cidrMatch(destination.ip, "0.0.0.0/0")"#, false),
        ],
    );
}

#[test]
fn calls_that_cannot_be_are_named() {
    check_errors(
        r#"any where lenght(process.name) == 1 or length() == 1 or length(process.pid) == 1 or length~(process.name) == 1 or length(process.name) or add(1, "a") == 2 or substring(process.name) == "" or length(process.nam) == "a" or cidrMatch(source.ip) or cidrMatch(source.ip, "ten") or length(process.name) == length(process.title)"#,
        expect![[r#"
            unknown-function at `lenght(process.name)`: unknown function `lenght`
            function-arguments at `length()`: `length` does not take these arguments
            type-mismatch at `process.pid`: the function takes a text here
            unknown-function at `length~(process.name)`: `length` has no form with `~`: it compares no texts
            not-a-condition at `length(process.name)`: `length(..)` alone is not a condition: it is not a boolean
            type-mismatch at `"a"`: the function takes a number here
            function-arguments at `substring(process.name)`: `substring` does not take these arguments
            unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
            function-arguments at `cidrMatch(source.ip)`: `cidrMatch` does not take these arguments
            type-mismatch at `"ten"`: expected a network such as `"10.0.0.0/8"`
            field-comparison at `length(process.name) == length(process.title)`: a field cannot be compared with another field
        "#]],
    );
}

#[test]
fn functions_of_several_fields_are_computed_for_a_limited_number_of_combinations() {
    let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let event = record(json!({"process.args": values, "process.parent.args": values}));
    let parsed = parse(
        "any where startsWith(process.args, process.parent.args) and length(process.args) > 9",
        &mut Findings::default(),
    );
    let matcher = Matcher::compile(&parsed.expect("a sound query"));
    let evaluation = Evaluation::new(&event);
    assert!(!matcher.matches(&evaluation));
    let parsed = parse(
        r#"any where concat(process.args, process.parent.args) == "x""#,
        &mut Findings::default(),
    );
    assert!(!Matcher::compile(&parsed.expect("a sound query")).matches(&evaluation));
    assert_eq!(evaluation.combinations_cut(), 2 * 9_000);
}

#[test]
fn what_is_no_sequence_is_named_where_it_stands() {
    for (query, expected) in [
        (
            "sequence [any where true]",
            expect![[r#"
            syntax at ``: a sequence needs at least two events
        "#]],
        ),
        (
            "sequence by process.nam, user.id with maxspan=5s [any where process.nme == 1] [any where true] by process.nam",
            expect![[r#"
            unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
            unknown-field at `process.nme`: unknown field `process.nme` (did you mean `process.name`?)
            unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
        "#]],
        ),
        (
            "sequence [any where true] by user.id [any where true]",
            expect![[r#"
            sequence-keys at `sequence`: the events of a sequence have different numbers of keys
        "#]],
        ),
        (
            "sequence with maxspan=5 [any where true] [any where true]",
            expect![[r#"
            syntax at `[`: `maxspan` is a whole number with `ms`, `s`, `m`, `h` or `d`
        "#]],
        ),
        (
            "sequence [any where true] with runs=101",
            expect![[r#"
            syntax at ``: `runs` is a whole number from 1 to 100
        "#]],
        ),
        (
            "sequence by 1 [any where true] [any where true]",
            expect![[r#"
            not-a-field at `1`: a key of a sequence is a field
        "#]],
        ),
        (
            "sequence [any where true] ![any where true] [any where true]",
            expect![[r#"
            unsupported-missing-event at `!`: missing events (`![..]`) are not supported yet
        "#]],
        ),
        (
            "sequence [any where true [any where true]",
            expect![[r#"
            syntax at `[`: expected `and`, `or` or `]`, found something else
        "#]],
        ),
        (
            "sequence [any where true] [any where true] until",
            expect![[r#"
            syntax at ``: expected `[`, found the end of the query
        "#]],
        ),
    ] {
        check_errors(query, expected);
    }
    let long = format!("sequence {}", "[any where true] with runs=100 ".repeat(3));
    let mut findings = Findings::default();
    assert!(super::parse(&long, &mut findings).is_none());
    assert_eq!(findings.list[0].code, "sequence-too-long");
}
