//! A field with further values: any of them passes a test, and its own alone are shown, remembered and computed with.

use super::*;
use crate::naive::{SCHEMA, WITH_OWN_FIELDS};
use crate::rule::parse_rule;

/// How many alerts come of processes of these names and titles, a second apart.
fn alerts(body: &str, named: &[[&str; 2]]) -> usize {
    let text = format!(
        "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n{body}"
    );
    let rule = parse_rule(&text, &WITH_OWN_FIELDS).unwrap_or_else(|report| panic!("{:?}", report.diagnostics));
    assert!(rule.warnings.is_empty(), "{body}: {:?}", rule.warnings);
    let rules = Rules::compile(&SCHEMA, vec![rule]);
    let mut run = Run {
        record: rules.narrow_record(),
        engine: Engine::new(rules, EngineOptions::default().with_learn_for_ms(0)),
        history: MemoryHistory::default(),
    };
    let shown = (0..).zip(named);
    shown
        .map(|(second, [name, title])| {
            let document = json!({"process": {"name": name, "title": title}});
            run.show(second * 1_000, document).len()
        })
        .sum()
}

#[test]
fn a_test_is_passed_by_either_and_its_negation_by_neither_in_every_language() {
    let exception = |operator: &str| {
        format!(
            "type = \"query\"\nquery = \"process.name:*\"\n[[rule.exceptions_list]]\n[[rule.exceptions_list.entries]]\n\
             field = \"process.name\"\noperator = \"{operator}\"\ntype = \"match\"\nvalue = \"kmod\"\n"
        )
    };
    let filter = |is_negated: bool| {
        format!(
            "type = \"query\"\nquery = \"process.name:*\"\n[[rule.filters]]\nmeta = {{ negate = {is_negated} }}\n\
             query = {{ match_phrase = {{ \"process.name\" = \"kmod\" }} }}\n"
        )
    };
    for (body, expected) in [
        (
            "type = \"eql\"\nquery = 'process where process.name == \"kmod\"'",
            [1, 1, 0],
        ),
        (
            "type = \"eql\"\nquery = 'process where process.name like \"*mod\"'",
            [1, 1, 0],
        ),
        (
            "type = \"eql\"\nquery = 'process where process.name regex~ \"K.od\"'",
            [1, 1, 0],
        ),
        (
            "type = \"eql\"\nquery = 'process where process.name in~ (\"KMOD\", \"x\")'",
            [1, 1, 0],
        ),
        (
            "type = \"eql\"\nquery = 'process where process.name != \"kmod\"'",
            [0, 0, 1],
        ),
        (
            "type = \"eql\"\nquery = 'process where not process.name : \"KM*\"'",
            [0, 0, 1],
        ),
        (
            "type = \"eql\"\nquery = 'process where process.name == \"rmmod\" and process.name == \"kmod\"'",
            [1, 1, 0],
        ),
        ("type = \"query\"\nquery = \"process.name:kmod\"", [1, 1, 0]),
        ("type = \"query\"\nquery = \"process.name:k*d\"", [1, 1, 0]),
        (
            "type = \"query\"\nquery = \"process.name:* and not process.name:kmod\"",
            [0, 0, 1],
        ),
        (&exception("included"), [0, 0, 1]),
        (&exception("excluded"), [1, 1, 0]),
        (&filter(false), [1, 1, 0]),
        (&filter(true), [0, 0, 1]),
    ] {
        let found = [["rmmod", "kmod"], ["kmod", "rmmod"], ["rm", "other"]].map(|named| alerts(body, &[named]));
        assert_eq!(found, expected, "{body}");
    }
}

#[test]
fn keys_and_functions_have_the_fields_own_value_alone() {
    let named = [["insmod", "kmod"], ["rmmod", "kmod"], ["rmmod", "other"]];
    for (body, expected) in [
        (
            "type = \"new_terms\"\nquery = 'process.name:(kmod or rmmod)'\nnew_terms_fields = [\"process.name\"]\n\
             history_window_start = \"now-14d\"",
            2,
        ),
        (
            "type = \"eql\"\nquery = 'sequence by process.name [process where true] [process where true]'",
            1,
        ),
        (
            "type = \"threshold\"\nquery = 'process.name:*'\n[rule.threshold]\nfield = [\"process.name\"]\nvalue = 2",
            1,
        ),
        (
            "type = \"query\"\nquery = 'process.name:*'\n[rule.alert_suppression]\ngroup_by = [\"process.name\"]\n\
             duration = { value = 1, unit = \"h\" }",
            2,
        ),
        (
            "type = \"eql\"\nquery = 'process where startsWith(process.name, \"kmo\")'",
            0,
        ),
        (
            "type = \"eql\"\nquery = 'process where startsWith(process.name, \"rmm\")'",
            2,
        ),
        ("type = \"eql\"\nquery = 'process where length(process.name) == 4'", 0),
    ] {
        assert_eq!(alerts(body, &named), expected, "{body}");
    }
}
