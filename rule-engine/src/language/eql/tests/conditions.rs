//! Conditions, nulls and functions of constants where a value may stand.

use super::*;

#[test]
fn a_condition_may_be_compared_with_true_and_false() {
    let document = json!({"process.name": "curl", "process.pid": 7});
    check_each(
        &document,
        &[
            (r#"startsWith(process.name, "c") == true"#, true),
            (r#"startsWith(process.name, "c") == false"#, false),
            (r#"startsWith(process.name, "c") != false"#, true),
            (r#"false == startsWith(process.name, "x")"#, true),
            // The negation of the function, so also where the field is missing.
            (r#"startsWith(process.title, "c") == false"#, true),
            (r#"startsWith(process.title, "c") != true"#, true),
            (r#"startsWith(process.title, "c") == true"#, false),
            (r#"startsWith(process.title, "c") == null"#, true),
            (r#"startsWith(process.name, "c") == null"#, false),
            ("(process.pid > 5) == true", true),
            ("true == (process.pid > 5)", true),
            ("(process.pid > 5) != true", false),
            ("(process.parent.pid > 5) == false", true),
            (r#"(process.name : "c*") == true"#, true),
            ("(process.pid > 5 and process.pid < 7) == false", true),
            ("(not process.pid == 7) == false", true),
            // A condition is never null.
            ("null == (process.pid > 5)", false),
            ("(process.parent.pid > 5) == null", false),
            ("(process.parent.pid > 5) != null", true),
        ],
    );
}

#[test]
fn a_function_of_constants_is_a_constant() {
    let document = json!({"process.name": "5", "process.pid": 5, "process.args": ["a", "bb"]});
    check_each(
        &document,
        &[
            (r#"process.pid == number("5")"#, true),
            (r#"number("5") == process.pid"#, true),
            ("modulo(11, 6) == process.pid", true),
            ("modulo(11, 10) < process.pid", true),
            ("process.pid > modulo(11, 10)", true),
            ("process.name == string(5)", true),
            (r#"process.pid in (number("4"), add(2, 3))"#, true),
            (r#"process.name : concat("5", "*")"#, true),
            (r#"length(process.name) == length("x")"#, true),
            (r#"length("abc") == 3"#, true),
            ("3 < add(1, 2)", false),
            ("add(1, 2) == subtract(4, 1)", true),
            (r#"process.title == concat("a", null)"#, true),
            ("-process.pid == -5", true),
            ("10 - -process.pid == 15", true),
            ("-(process.pid + 1) == -6", true),
            ("- 5 < process.pid", true),
        ],
    );
}

#[test]
fn a_null_in_a_list_matches_nothing() {
    let document = json!({"process.name": "a"});
    check_each(
        &document,
        &[
            (r#"process.name in ("a", null)"#, true),
            (r#"process.name in ("b", null)"#, false),
            (r#"process.name not in ("b", null)"#, true),
            ("process.name in (null)", false),
            ("process.title in (null)", false),
            ("process.title not in (null)", true),
            (r#"process.name like ("A", null)"#, false),
            (r#"process.name : ("A", null)"#, true),
            (r#"process.name regex (null, "a|b")"#, true),
            ("process.pid in (1, null)", false),
        ],
    );
}

#[test]
fn no_text_contains_the_empty_one() {
    let document = json!({"process.name": "a", "process.title": ""});
    check_each(
        &document,
        &[
            (r#"stringContains(process.name, "")"#, false),
            (r#"stringContains~(process.name, "")"#, false),
            (r#"stringContains(process.title, "")"#, false),
            (r#"stringContains(process.name, "") == false"#, true),
            ("stringContains(process.name, process.title)", false),
            (r#"stringContains(process.name, "a")"#, true),
            (r#"startsWith(process.name, "")"#, true),
            (r#"endsWith(process.name, "")"#, true),
        ],
    );
}

#[test]
fn a_date_may_be_a_number_and_a_quote_may_be_escaped() {
    let document = json!({"@timestamp": "2026-01-02T00:00:00.001Z", "process.name": "it's"});
    check_each(
        &document,
        &[
            ("@timestamp == 1767312000001", true),
            ("@timestamp > 1767312000000", true),
            ("@timestamp in (1, 1767312000001)", true),
            ("1767312000001 < @timestamp", false),
            (r#"process.name == "it\'s""#, true),
        ],
    );
}

#[test]
fn an_address_is_one_value_however_it_is_spelt() {
    check_each(
        &json!({"source.ip": ["::FFFF:10.1.2.3", "2001:0DB8:0::1", "no address"]}),
        &[
            (r#"source.ip == "10.1.2.3""#, true),
            (r#"source.ip == "::ffff:a01:203""#, true),
            (r#"source.ip != "2001:db8::1""#, false),
            (r#"source.ip in ("10.0.0.1", "2001:db8:0:0::0001")"#, true),
            (r#"source.ip == "10.0.0.0/8""#, true),
            (r#"source.ip : ("::ffff:10.1.2.3", "172.*")"#, true),
            (r#"source.ip : "*:10.1.2.3""#, false),
            (r#"source.ip > "10.1.2.20" and source.ip < "10.1.2.20""#, true),
            (r#"source.ip > "2001:db8::1""#, false),
            (r#"concat(source.ip, "") == "10.1.2.3""#, true),
            (r#"cidrMatch(source.ip, "::ffff:10.0.0.0/104")"#, true),
            (r#"not cidrMatch(source.ip, "::/0")"#, false),
        ],
    );
    check_errors(
        r#"any where source.ip == "ten" or source.ip > "10.0.0.0/8" or source.ip : "ten" or cidrMatch(source.ip, "::ffff:10.0.0.0/8")"#,
        expect![[r#"
            type-mismatch at `"ten"`: `source.ip` is compared with an address or a network such as `"10.0.0.1"` or `"10.0.0.0/8"`
            type-mismatch at `"10.0.0.0/8"`: `source.ip` is compared with an address such as `"10.0.0.1"`
            type-mismatch at `"ten"`: `source.ip` is compared with an address or a network such as `"10.0.0.1"` or `"10.0.0.0/8"`
            type-mismatch at `"::ffff:10.0.0.0/8"`: expected a network such as `"10.0.0.0/8"`
        "#]],
    );
}

#[test]
fn messages_name_both_sides() {
    for (query, expected) in [
        (
            "any where process.name == process.parent.name or length(process.name) > process.pid",
            expect![[r#"
                field-comparison at `process.name == process.parent.name`: `process.name` cannot be compared with `process.parent.name`: both differ from event to event
                field-comparison at `length(process.name) > process.pid`: `length(..)` cannot be compared with `process.pid`: both differ from event to event
            "#]],
        ),
        (
            r#"any where process.name in ("a", process.parent.name)"#,
            expect![[r#"
                field-comparison at `process.parent.name`: a list holds constants, and `process.parent.name` differs from event to event
            "#]],
        ),
        (
            "any where (process.pid > 1) == process.interactive or (process.pid > 1) > true",
            expect![[r#"
                type-mismatch at `process.interactive`: a condition is compared with `true` or `false` only
                type-mismatch at `(process.pid > 1) > true`: a condition has no order: it is true or false
            "#]],
        ),
        (
            r#"any where process.name == number("5") or process.pid > number("x")"#,
            expect![[r#"
                type-mismatch at `number("5")`: `process.name` is compared with a text in double quotes
                constant at `number("x")`: `number(..)` of these constants has no value (use constants that it can compute with)
            "#]],
        ),
        (
            "sequence [any where true] [any where false] until [any where true] with runs=2",
            expect![[r#"
                syntax at ``: the event behind `until` ends a sequence when it comes once: it has no `runs`
            "#]],
        ),
    ] {
        check_errors(query, expected);
    }
}
