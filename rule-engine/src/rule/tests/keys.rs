//! Keys that a rule file may have, and those that are as if they were not there.

use expect_test::expect;

use super::*;

const THRESHOLD: &str = "type = \"threshold\"\nlanguage = \"kuery\"\nquery = 'event.action:exec'\n";

#[test]
fn a_key_that_no_rule_of_the_type_has_is_an_error_with_a_suggestion() {
    let exception = "[[rule.exceptions_list]]\n[[rule.exceptions_list.entries]]\nfield = \"process.name\"\ntype = \"match\"\nvalue = \"a\"\n";
    for (text, expected) in [
        (
            eql("process where true") + "max_signal = 3\nexception_list = []\nthreshold = 2\n",
            expect![[r#"
                Error
                12:1 Error unknown-key: unknown key `max_signal` in a rule of type `eql` (did you mean `max_signals`?)
                13:1 Error unknown-key: unknown key `exception_list` in a rule of type `eql` (did you mean `exceptions_list`?)
                14:1 Error unknown-key: unknown key `threshold` in a rule of type `eql` (take it out, or see docs/rules.md for the keys that there are)
            "#]],
        ),
        (
            eql("process where true")
                + "[rule.alert_suppression]\ngroup_by = [\"host.name\"]\nmissing_field_strategy = \"suppress\"\nduration = { valu = 5, value = 5, unit = \"h\" }\n",
            expect![[r#"
                Error
                14:1 Error unknown-key: unknown key `missing_field_strategy` in `[alert_suppression]` (did you mean `missing_fields_strategy`?)
                15:14 Error unknown-key: unknown key `valu` in `[duration]` (did you mean `value`?)
            "#]],
        ),
        (
            format!(
                "{HEAD}{THRESHOLD}[rule.threshold]\nfeild = \"host.name\"\nvalue = 2\ncardinalty = []\n[[rule.threshold.cardinality]]\nfield = \"process.name\"\nvalue = 2\nvalues = 2\n"
            ),
            expect![[r#"
                Error
                11:1 Error unknown-key: unknown key `feild` in `[threshold]` (did you mean `field`?)
                13:1 Error unknown-key: unknown key `cardinalty` in `[threshold]` (did you mean `cardinality`?)
                17:1 Error unknown-key: unknown key `values` in `[cardinality]` (did you mean `value`?)
            "#]],
        ),
        (
            eql("process where true").replace("[rule]", "[ruel]") + "[metdata]\n",
            expect![[r#"
                Error
                1:2 Error unknown-key: unknown key `ruel` in a rule file (did you mean `rule`?)
                12:2 Error unknown-key: unknown key `metdata` in a rule file (did you mean `metadata`?)
            "#]],
        ),
        (
            eql("process where true")
                + &exception.replace("value", "operater = \"included\"\nvalue").replace(
                    "[[rule.exceptions_list.entries]]",
                    "expires_time = \"2026-01-01\"\n[[rule.exceptions_list.entries]]",
                ),
            expect![[r#"
                Error
                13:1 Error unknown-key: unknown key `expires_time` in `[exceptions_list]` (did you mean `expire_time`?)
                17:1 Error unknown-key: unknown key `operater` in `[entries]` (did you mean `operator`?)
            "#]],
        ),
        (
            new_terms(
                "[rule.new_terms]\nfield = \"new_terms_fields\"\nvalue = [\"process.name\"]\nvalues = []\n[[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-14d\"\nunit = \"d\"\n",
            ),
            expect![[r#"
                Error
                13:1 Error unknown-key: unknown key `values` in `[new_terms]` (did you mean `value`?)
                17:1 Error unknown-key: unknown key `unit` in `[history_window_start]` (take it out, or see docs/rules.md for the keys that there are)
            "#]],
        ),
    ] {
        check(&text, expected);
    }
}

#[test]
fn what_is_empty_is_as_if_it_were_not_there() {
    let threshold = |table: &str| format!("{HEAD}{THRESHOLD}index = []\n[rule.threshold]\nvalue = 2\n{table}");
    let bare = parse(&threshold("")).expect("a sound rule");
    for table in [
        "field = \"\"\n",
        "field = []\n",
        "field = [\"\"]\n",
        "[[rule.threshold.cardinality]]\nfield = \"\"\nvalue = 1\n",
    ] {
        let rule = parse(&threshold(table)).unwrap_or_else(|report| panic!("{table}: {report}"));
        assert_eq!((rule.meaning(), rule.warnings.len()), (bare.meaning(), 0), "{table}");
    }
}

#[test]
fn the_category_of_a_query_may_be_in_another_field() {
    let overridden = |field: &str| eql("exec where true") + &format!("event_category_override = \"{field}\"\n");
    let by_hand = parse(&eql("any where event.action == \"exec\" and true")).expect("a sound rule");
    let rule = parse(&overridden("event.action")).expect("a sound rule");
    assert_eq!(rule.meaning(), by_hand.meaning());
    check(
        &overridden("process.pid"),
        expect![[r#"
            Error
            12:27 Error bad-value: `process.pid` holds no names of categories (see docs/rules.md for the values that this key takes)
        "#]],
    );
    check(
        &overridden("event.actoin"),
        expect![[r#"
            Error
            12:27 Error unknown-field: unknown field `event.actoin` (did you mean `event.action`?)
        "#]],
    );
}
