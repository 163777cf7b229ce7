use expect_test::expect;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::rule::exceptions::tests::{check, matches};

#[test]
fn filters_let_through_what_they_name() {
    let event = json!({"event.category": "process", "process": {"name": "a", "pid": 7}});
    for (filter, passes) in [
        (r#"query.match_phrase."process.name" = "a""#, true),
        (r#"query.match_phrase."process.name" = "b""#, false),
        (r#"query.match_phrase."process.name" = { query = "a" }"#, true),
        (
            r#"query.match."process.name" = { query = "b", type = "phrase" }"#,
            false,
        ),
        (r#"query.match_phrase."process.pid" = 7"#, true),
        (r#"query.exists.field = "process.title""#, false),
        (r#"exists.field = "process.name""#, true),
        ("meta.negate = true\nquery.match_phrase.\"process.name\" = \"a\"", false),
        (
            "meta.disabled = true\nquery.match_phrase.\"process.name\" = \"b\"",
            true,
        ),
        (
            r#"query.bool = { minimum_should_match = 1, should = [{ match_phrase."process.name" = "b" }, { match_phrase."process.name" = "a" }] }"#,
            true,
        ),
    ] {
        let tail = format!("[[rule.filters]]\n{filter}\n");
        let found = matches("process where true", &tail, std::slice::from_ref(&event));
        assert_eq!(found, [passes], "{filter}");
    }
    let both = "[[rule.filters]]\nquery.match_phrase.\"process.name\" = \"a\"\n\
                [[rule.filters]]\nquery.match_phrase.\"process.pid\" = \"8\"\n";
    assert_eq!(matches("process where true", both, &[event]), [false]);
}

#[test]
fn filters_mean_what_they_mean_to_elasticsearch() {
    let event = json!({"event.category": "process", "@timestamp": "2026-01-02T00:00:00Z",
        "process": {"name": "Curl", "pid": 7, "args": ["a", "b"], "executable": "/usr/bin/Curl"}});
    for (query, passes) in [
        (r#"{"match_all": {}}"#, true),
        (r#"{"match_none": {}}"#, false),
        (r#"{"term": {"process.name": "Curl"}}"#, true),
        (r#"{"term": {"process.name": "curl"}}"#, false),
        (
            r#"{"term": {"process.name": {"value": "curl", "case_insensitive": true}}}"#,
            true,
        ),
        (r#"{"term": {"process.pid": 7}}"#, true),
        (r#"{"terms": {"process.args": ["x", "b"]}}"#, true),
        (r#"{"terms": {"process.args": ["x", "y"], "boost": 1}}"#, false),
        (r#"{"match": {"process.name": {"query": "Curl"}}}"#, true),
        (r#"{"wildcard": {"process.executable": "/usr/*/C?rl"}}"#, true),
        (r#"{"wildcard": {"process.executable": {"value": "*/curl"}}}"#, false),
        (
            r#"{"wildcard": {"process.executable": {"wildcard": "*/curl", "case_insensitive": true}}}"#,
            true,
        ),
        (r#"{"prefix": {"process.executable": "/usr"}}"#, true),
        (
            r#"{"prefix": {"process.executable": {"value": "/USR", "case_insensitive": true}}}"#,
            true,
        ),
        (r#"{"prefix": {"process.executable": "/u*"}}"#, false),
        (r#"{"regexp": {"process.name": "C.*"}}"#, true),
        (
            r#"{"regexp": {"process.name": {"value": "c.*", "flags": "ALL"}}}"#,
            false,
        ),
        (r#"{"range": {"process.pid": {"gte": 7, "lt": 8}}}"#, true),
        (r#"{"range": {"process.pid": {"gt": 7}}}"#, false),
        (r#"{"range": {"@timestamp": {"lte": "2026-01-02"}}}"#, true),
        (r#"{"exists": {"field": "process.pid"}}"#, true),
        (r#"{"bool": {"must_not": {"exists": {"field": "process.pid"}}}}"#, false),
        (r#"{"bool": {}}"#, true),
        (
            r#"{"bool": {"must": [], "filter": [], "must_not": [], "should": [{"match_none": {}}]}}"#,
            false,
        ),
        (
            r#"{"constant_score": {"filter": {"term": {"process.pid": 8}}, "boost": 1}}"#,
            false,
        ),
        (r#"{"range": {"process.pid": {"from": 7, "to": 8}}}"#, true),
        (
            r#"{"range": {"process.pid": {"from": 7, "include_lower": false}}}"#,
            false,
        ),
        (
            r#"{"range": {"process.pid": {"to": 7, "include_lower": false, "include_upper": false}}}"#,
            false,
        ),
        (
            r#"{"range": {"@timestamp": {"gt": "2026-01-01T23:00:00Z", "format": "strict_date_optional_time", "time_zone": "UTC"}}}"#,
            true,
        ),
        (
            r#"{"match": {"process.name": {"query": "Curl", "operator": "and", "_name": "x"}}}"#,
            true,
        ),
        (
            r#"{"bool": {"must": [{"exists": {"field": "process.pid"}}], "should": [{"match_none": {}}]}}"#,
            true,
        ),
        (
            r#"{"bool": {"filter": [{"exists": {"field": "process.pid"}}], "should": [{"match_none": {}}],
                "minimum_should_match": 1}}"#,
            false,
        ),
        (
            r#"{"bool": {"should": [{"match_none": {}}, {"bool": {"must_not": [{"term": {"process.pid": 8}}]}}]}}"#,
            true,
        ),
    ] {
        let query: serde_json::Value = serde_json::from_str(query).expect("a query is JSON");
        for (negate, expected) in [(false, passes), (true, !passes)] {
            let tail = written(&json!({"meta": {"negate": negate}, "query": query}));
            let found = matches("process where true", &tail, std::slice::from_ref(&event));
            assert_eq!(found, [expected], "{query} {negate}");
        }
    }
}

/// The filter as a rule file has it.
fn written(filter: &Json) -> String {
    let filter = toml::Table::try_from(json!({"filters": [filter]})).expect("a filter can be written as TOML");
    let tail = filter.to_string().replace("[[filters]]", "[[rule.filters]]");
    tail.replace("[filters.", "[rule.filters.")
        .replace("[[filters.", "[[rule.filters.")
}

/// A filter of Kibana's filter bar and whether it lets the event of the test through.
#[derive(Clone, Debug)]
struct Filter {
    json: Json,
    passes: bool,
}

/// By the definition: one that is disabled is as if it were not there, and one that is negated lets through the others.
fn with_switches(mut filter: Filter, negate: Option<bool>, disabled: bool) -> Filter {
    if let Some(negate) = negate {
        filter.json["meta"]["negate"] = json!(negate);
    }
    filter.json["meta"]["disabled"] = json!(disabled);
    filter.passes = disabled || (filter.passes != (negate == Some(true)));
    filter
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop::sample::select(vec![
        (
            json!({"meta": {"type": "phrase", "key": "process.name", "params": {"query": "a"}},
            "query": {"match_phrase": {"process.name": "a"}}}),
            true,
        ),
        (
            json!({"meta": {"type": "phrase"}, "query": {"match_phrase": {"process.pid": "8"}}}),
            false,
        ),
        (
            json!({"meta": {"type": "phrases", "params": ["a", "b"]}, "query": {"bool": {"minimum_should_match": 1,
            "should": [{"match_phrase": {"process.name": "x"}}, {"match_phrase": {"process.name": "a"}}]}}}),
            true,
        ),
        (
            json!({"meta": {"type": "exists"}, "query": {"exists": {"field": "process.title"}}}),
            false,
        ),
        (
            json!({"meta": {"type": "range", "params": {"gte": 7}}, "query": {"range": {"process.pid": {"gte": 7}}}}),
            true,
        ),
        (
            json!({"meta": {"type": "range"}, "range": {"process.pid": {"gte": 8, "lt": 9}}}),
            false,
        ),
        (
            json!({"meta": {"type": "custom"}, "query": {"wildcard": {"process.name": "?"}}}),
            true,
        ),
    ]);
    let switches = || (prop::option::of(any::<bool>()), prop::bool::weighted(0.1));
    let leaf = (leaf, switches())
        .prop_map(|((json, passes), (negate, disabled))| with_switches(Filter { json, passes }, negate, disabled));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (prop::collection::vec(inner, 0..4), any::<bool>(), switches()).prop_map(
            |(filters, and, (negate, disabled))| {
                let params: Vec<Json> = filters.iter().map(|filter| filter.json.clone()).collect();
                let relation = if and { "AND" } else { "OR" };
                let mut passing = filters.iter().map(|filter| filter.passes);
                let passes = match and {
                    true => passing.all(|passes| passes),
                    false => filters.is_empty() || passing.any(|passes| passes),
                };
                let json = json!({"meta": {"type": "combined", "relation": relation, "params": params}, "query": {}});
                with_switches(Filter { json, passes }, negate, disabled)
            },
        )
    })
}

proptest! {
    #[test]
    fn combined_filters_hold_as_their_parts_do(filter in filter()) {
        let event = json!({"event.category": "process", "process": {"name": "a", "pid": 7}});
        let found = matches("process where true", &written(&filter.json), &[event]);
        prop_assert_eq!(found, [filter.passes], "{}", filter.json);
    }
}

#[test]
fn what_a_combined_filter_holds_and_is_not_read_is_named_with_its_place() {
    let combined = |relation: &str, params: Json| {
        written(&json!({"meta": {"type": "combined", "relation": relation, "params": params}, "query": {}}))
    };
    let phrase = json!({"meta": {}, "query": {"match_phrase": {"process.name": "a"}}});
    let lucene = json!({"meta": {}, "query": {"query_string": {"query": "a"}}});
    let inner = json!({"meta": {"type": "combined", "relation": "OR", "params": [phrase, lucene]}});
    check(
        &combined(
            "AND",
            json!([phrase, inner, {"meta": {}, "query": {"term": {"process.nam": "a"}}}]),
        ),
        expect![[r#"
            9:1 unsupported-filter: a filter of this form (`query_string`) is not supported, in `meta.params[1].meta.params[1]`
            9:1 unknown-field: unknown field `process.nam`
        "#]],
    );
    check(
        &combined("XOR", json!([phrase])),
        expect![[r#"
        9:1 unsupported-filter: a filter of this form (`combined by `XOR``) is not supported
    "#]],
    );
    check(
        &written(&json!({"meta": {"type": "combined", "relation": "OR"}})),
        expect![[r#"
            9:1 unsupported-filter: a filter of this form (`combined without `params``) is not supported
        "#]],
    );
}

#[test]
fn forms_that_only_an_index_can_answer_are_errors_that_name_them() {
    for (query, expected) in [
        (
            r#"query_string.query = "a" "#,
            expect![[r#"
                9:1 unsupported-filter: a filter of this form (`query_string`) is not supported
            "#]],
        ),
        (
            r#"script.script.source = "1" "#,
            expect![[r#"
            9:1 unsupported-filter: a filter of this form (`script`) is not supported
        "#]],
        ),
        (
            r#"range."process.pid" = { gt = 1, format = "x" }"#,
            expect![[r#"
            9:1 unsupported-filter: a filter of this form (`range with `format``) is not supported
        "#]],
        ),
        (
            r#"bool = { should = [], minimum_should_match = 2 }"#,
            expect![[r#"
            9:1 unsupported-filter: a filter of this form (`bool with `minimum_should_match` above 1`) is not supported
        "#]],
        ),
        (
            r#"term."process.nam" = "a""#,
            expect![[r#"
            9:1 unknown-field: unknown field `process.nam`
        "#]],
        ),
        (
            r#"range."process.pid" = { gt = "x" }"#,
            expect![[r#"
                1:1 never-matches: the rule can never match: it is always false
                9:1 never-matches: this can never match: `process.pid` does not hold such values
            "#]],
        ),
        (
            r#"regexp."process.name" = "(""#,
            expect![[r#"
            9:1 regex: `(` has no `)`
        "#]],
        ),
        (
            r#"match."process.name" = { query = "a", fuzziness = "AUTO" }"#,
            expect![[r#"
                9:1 unsupported-filter: a filter of this form (`match with `fuzziness``) is not supported
            "#]],
        ),
        (
            r#"exists.name = "x""#,
            expect![[r#"
            9:1 unsupported-filter: a filter of this form (`exists without `field``) is not supported
        "#]],
        ),
        (
            r#"term = { "process.name" = "a", "process.pid" = 1 }"#,
            expect![[r#"
                9:1 unsupported-filter: a filter of this form (`term`) is not supported
            "#]],
        ),
    ] {
        check(&format!("[[rule.filters]]\nquery.{query}\n"), expected);
    }
    check(
        "[[rule.filters]]\nmeta.negate = true\n",
        expect![[r#"
        9:1 unsupported-filter: a filter of this form (`without a query`) is not supported
    "#]],
    );
    let nested = format!("{}match_all = {{}}{}", "bool.must = { ".repeat(100), " }".repeat(100));
    check(
        &format!("[[rule.filters]]\nquery = {{ {nested} }}\n"),
        expect![[r#"
        9:1 nesting: the filter nests deeper than 64 levels
        10:1129 toml: cannot recurse further; max recursion depth met
    "#]],
    );
}

#[test]
fn texts_are_compared_by_their_words() {
    let event = json!({"event.category": "process", "message": "Failed password for Root from 10.1.2.3"});
    for (query, passes) in [
        (r#"{"match": {"message": "shadow root"}}"#, true),
        (
            r#"{"match": {"message": {"query": "shadow root", "operator": "and"}}}"#,
            false,
        ),
        (
            r#"{"match": {"message": {"query": "root PASSWORD", "operator": "AND"}}}"#,
            true,
        ),
        (
            r#"{"match": {"message": {"query": "root password", "type": "phrase"}}}"#,
            false,
        ),
        (r#"{"match": {"message": "roo"}}"#, false),
        (r#"{"match_phrase": {"message": "password for root"}}"#, true),
        (r#"{"match_phrase": {"message": "password root"}}"#, false),
        (r#"{"match_phrase": {"process.command_line.text": "password"}}"#, false),
        (r#"{"term": {"message": "root"}}"#, true),
        (r#"{"term": {"message": "Root"}}"#, false),
        (r#"{"prefix": {"message": "pass"}}"#, true),
        (r#"{"wildcard": {"message": "*word"}}"#, true),
        (r#"{"wildcard": {"message": "*password for*"}}"#, false),
        (r#"{"regexp": {"message": "[0-9.]+"}}"#, true),
    ] {
        let query: Json = serde_json::from_str(query).expect("JSON");
        let written = toml::Value::try_from(&query).expect("TOML");
        let tail = format!("[[rule.filters]]\nquery = {written}\n");
        assert_eq!(
            matches("process where true", &tail, std::slice::from_ref(&event)),
            [passes],
            "{query}"
        );
    }
}

#[test]
fn exceptions_compare_the_words_of_texts() {
    let event = json!({"event.category": "process", "process.command_line": "CURL -o x http://a.example"});
    for (entry, excepted) in [
        (r#"type = "match", value = "curl -O x""#, true),
        (r#"type = "match", value = "curl x""#, false),
        (r#"type = "match_any", value = ["wget", "a.example"]"#, true),
        (r#"type = "wildcard", value = "cur?""#, true),
        (r#"type = "wildcard", value = "curl*x""#, false),
    ] {
        let tail = format!(
            "[[rule.exceptions_list]]\nentries = [{{ field = \"process.command_line.text\", operator = \"included\", {entry} }}]\n"
        );
        let found = matches("process where true", &tail, std::slice::from_ref(&event));
        assert_eq!(found, [!excepted], "{entry}");
    }
}
