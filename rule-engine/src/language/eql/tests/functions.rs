//! What functions compute, for which values, and which calls are refused.

use super::*;

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
            (r#"cidrMatch(source.ip, "10.0.0.0/8") == true"#, true),
            (r#"cidrMatch(source.ip, "10.0.0.0/8") == false"#, false),
            (r#"cidrMatch(destination.ip, "10.0.0.0/8") == false"#, true),
            (r#"cidrMatch(destination.ip, "10.0.0.0/8") == null"#, true),
            (
                r#"cidrMatch(concat("10.0.0.", length(process.args)), "10.0.0.3", "10.0.0.4/32")"#,
                true,
            ),
        ],
    );
}

#[test]
fn calls_that_cannot_be_are_named() {
    check_errors(
        r#"any where lenght(process.name) == 1 or length() == 1 or length(process.pid) == 1 or length~(process.name) == 1 or length(process.name) or add(1, "a") == 2 or substring(process.name) == "" or length(process.nam) == "a" or cidrMatch(source.ip) or cidrMatch(source.ip, "ten") or length(process.name) == length(process.title)"#,
        expect![[r#"
            unknown-function at `lenght(process.name)`: unknown function `lenght` (did you mean `length`?)
            function-arguments at `length()`: `length` does not take these arguments
            type-mismatch at `process.pid`: the function takes a text here
            unknown-function at `length~(process.name)`: `length` has no form with `~`: it compares no texts
            not-a-condition at `length(process.name)`: `length(..)` alone is not a condition: it is not a boolean
            type-mismatch at `"a"`: the function takes a number here
            function-arguments at `substring(process.name)`: `substring` does not take these arguments
            unknown-field at `process.nam`: unknown field `process.nam` (did you mean `process.name`?)
            function-arguments at `cidrMatch(source.ip)`: `cidrMatch` does not take these arguments
            type-mismatch at `"ten"`: expected a network such as `"10.0.0.0/8"`
            field-comparison at `length(process.name) == length(process.title)`: `length(..)` cannot be compared with `length(..)`: both differ from event to event
        "#]],
    );
}

#[test]
fn functions_of_several_fields_are_computed_for_a_limited_number_of_combinations() {
    let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let others: Vec<String> = values.iter().map(|value| format!("other {value}")).collect();
    let event = record(json!({"process.args": values, "process.parent.args": others}));
    for query in [
        "any where startsWith(process.args, process.parent.args)",
        r#"any where concat(process.args, process.parent.args) == "x""#,
    ] {
        let parsed = parse(query, &mut Findings::default()).expect("a sound query");
        CompiledCondition::compile(&parsed).evaluate(&event, |matcher, event| {
            assert!(!matcher.matches(event));
            assert_eq!(event.combinations_cut(), 9_000);
        });
    }
}
