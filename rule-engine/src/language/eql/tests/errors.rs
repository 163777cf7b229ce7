//! What is no EQL: named, where it stands.

use super::*;

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
fn behind_an_error_the_rest_is_read() {
    check_errors(
        r#"process where process.name = "a" AND (process.pid > > 1 or process.nam == "b" "c" or not (process.pid ==)) and process.args in ("a" "b", "c") and process.pid == "1""#,
        expect![[r#"
            single-equals at `=`: a single `=` is no operator (write `==`)
            syntax at `>`: expected a field, a value or `(`, found `>`
            syntax at `"c"`: expected `and`, `or` or `)`, found `"c"`
            syntax at `)`: expected a field, a value or `(`, found `)`
            syntax at `"b"`: expected `,` or `)`, found `"b"`
            type-mismatch at `"1"`: `process.pid` is compared with a number
        "#]],
    );
    check_errors(
        "sequence [process where process.pid == ] [process where true and and process.name]",
        expect![[r#"
            syntax at `]`: expected a field, a value or `(`, found `]`
            syntax at `and`: expected a field, a value or `(`, found `and`
            not-a-condition at `process.name`: `process.name` alone is not a condition: it is not a boolean
        "#]],
    );
    check_errors(
        "any where true true and (true true",
        expect![[r#"
        syntax at `true`: expected `and`, `or` or the end of the query, found `true`
    "#]],
    );
}

proptest! {
    #[test]
    fn each_broken_operand_is_an_error(
        (query, errors) in broken(&[
            r#"process.name = "x""#,
            "process.name == ",
            r#"process.name in "a""#,
            r#"process.pid "x""#,
            "(process.pid == )",
            r#"process.nam == "a""#,
            r#"process.args in ("a" "b", "c")"#,
            "length(process.name process.pid) == 1",
        ], "process.pid == 1")
    ) {
        let mut findings = Findings::default();
        let parsed = super::parse(&format!("process where {query}"), &mut findings);
        prop_assert_eq!(parsed.is_some(), errors == 0);
        let found = findings.list.iter().filter(|finding| finding.code.severity() == Severity::Error).count();
        prop_assert_eq!(found, errors, "{} {:?}", query, findings.list);
    }
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
                field-comparison at `process.name == process.parent.name`: `process.name` cannot be compared with `process.parent.name`: both differ from event to event
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
            r#"any where process.name regex ("a", "b~")"#,
            expect![[r#"
            regex at `"b~"`: the operator `~` negates nothing
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
                syntax at `1`: expected `(` and a list, found `1`
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
            "any where process.pid + == 2",
            expect![[r#"
            syntax at `==`: expected a field, a value or `(`, found `==`
        "#]],
        ),
        (
            r#"any where process.name + 1 == 2 and process.pid == 1 / 0"#,
            expect![[r#"
                type-mismatch at `process.name`: the function takes a number here
                constant at `1 / 0`: `divide(..)` of these constants has no value (use constants that it can compute with)
            "#]],
        ),
        (
            r#"process WHERE process.nam == "a""#,
            expect![[r#"
                syntax at `WHERE`: expected `where`, found `WHERE` (keywords are written in small letters: `where`)
                unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
            "#]],
        ),
        (
            r#"any where process.pid == 1 AND process.nam == "a" and ?no.such == 1 and (process.tty == 1"#,
            expect![[r#"
                syntax at `AND`: expected `and`, `or` or the end of the query, found `AND` (keywords are written in small letters: `and`)
                unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
                field-group at `process.tty`: `process.tty` has no value of its own, only fields below it
            "#]],
        ),
        (
            r#"any where wildcard(process.name, "a*") or lenth(process.name) == 1 or match(process.name, "a") or sqrt(1) == 1"#,
            expect![[r#"
                unknown-function at `wildcard(process.name, "a*")`: unknown function `wildcard` (write `field : ("a*", "*b")`)
                unknown-function at `lenth(process.name)`: unknown function `lenth` (did you mean `length`?)
                unknown-function at `match(process.name, "a")`: unknown function `match` (write `field regex "pattern"`)
                unknown-function at `sqrt(1)`: unknown function `sqrt`
            "#]],
        ),
        (
            r#"any where process.name == "\u{+41}""#,
            expect![[r#"
                unknown-escape at `\u`: unknown escape in a text (use `\\`, `\"`, `\n`, `\r`, `\t`, `\b`, `\f` or `\u{..}`, or a raw text in `"""`)
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
            "sequence with maxspan=5s by user.id [any where true] [any where true]",
            expect![[r#"
                syntax at `user.id`: `by` stands before `with maxspan=T`
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
            missing-without-maxspan at `[`: a missing event (`![..]`) needs `with maxspan=T`
        "#]],
        ),
        (
            "sequence with maxspan=1s ![any where true] ![any where true]",
            expect![[r#"
            syntax at ``: a sequence needs an event that is not missing
        "#]],
        ),
        (
            "sequence with maxspan=1s ![any where true] with runs=2 [any where true]",
            expect![[r#"
            syntax at `with`: a sequence needs at least two events
        "#]],
        ),
        (
            "sequence with maxspan=1s [any where true] ![any where true] until ![any where true]",
            expect![[r#"
            syntax at `!`: the event behind `until` cannot be a missing one
        "#]],
        ),
        (
            "sequence [any where true [any where true]",
            expect![[r#"
                syntax at `[`: expected `and`, `or` or `]`, found `[`
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
    assert_eq!(findings.list[0].code, Code::SequenceTooLong);
}
