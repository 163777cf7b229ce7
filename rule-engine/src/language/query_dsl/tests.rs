use expect_test::expect;
use serde_json::json;

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
            let filter = toml::Table::try_from(json!({"filters": [{"meta": {"negate": negate}, "query": query}]}))
                .expect("a filter can be written as TOML");
            let tail = filter.to_string().replace("[[filters]]", "[[rule.filters]]");
            let tail = tail
                .replace("[filters.", "[rule.filters.")
                .replace("[[filters.", "[[rule.filters.");
            let found = matches("process where true", &tail, std::slice::from_ref(&event));
            assert_eq!(found, [expected], "{query} {negate}");
        }
    }
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
            r#"match."message" = "a b""#,
            expect![[r#"
            9:1 unsupported-filter: a filter of this form (`match`) is not supported
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
