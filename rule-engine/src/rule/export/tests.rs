use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::compile::rules::Rules;
use crate::fixture::{self, OPTIONS, outcome};
use crate::rule::{CheckedRule, Format, Report};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::schema::Schema;

type Parsed = Result<CheckedRule, Report>;

fn parse_rules(text: &str) -> Vec<Parsed> {
    crate::rule::parse_rules(text, Format::Ndjson, &OPTIONS)
}

fn rule(id: &str, rest: Json) -> Json {
    let mut rule = json!({"rule_id": id, "name": "A rule", "description": "d", "severity": "low", "risk_score": 21,
        "enabled": true, "note": null, "meta": {"from": "1m"}, "related_integrations": [], "type": "query",
        "language": "kuery", "query": "process.name:*", "from": "now-360s", "to": "now"});
    let (Json::Object(rule), Json::Object(rest)) = (&mut rule, rest) else {
        panic!("not an object")
    };
    rule.extend(rest);
    Json::Object(rule.clone())
}

fn parse(lines: &[Json]) -> Vec<Parsed> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    parse_rules(&text)
}

fn rendered(files: &[Parsed]) -> Vec<String> {
    let line = |parsed: &Parsed| {
        let (status, diagnostics) = outcome(parsed);
        let found: Vec<String> = diagnostics
            .iter()
            .map(|found| format!("{}:{} {}", found.line, found.column, found.code))
            .collect();
        let (line, id) = match parsed {
            Ok(rule) => (rule.line, Some(&rule.info.rule_id)),
            Err(report) => (report.line, report.rule_id.as_ref()),
        };
        format!(
            "{line} {} {status} {}",
            id.map_or("-", String::as_str),
            found.join(", ")
        )
    };
    files.iter().map(line).collect()
}

fn matches(parsed: Parsed, name: &str) -> bool {
    let rule = parsed.expect("a sound rule");
    let rules = Rules::compile(&Schema::ecs(), vec![rule]);
    let mut record = rules.narrow_record();
    let Json::Object(document) = json!({"@timestamp": 0, "process.name": name}) else {
        panic!("not an object")
    };
    record.fill_from_document(&document);
    let mut matched = false;
    let mut engine = Engine::new(rules, EngineOptions::default());
    engine.evaluate(&record, &mut MemoryHistory::default(), &mut |_| matched = true);
    matched
}

#[test]
fn every_rule_of_an_export_is_read_and_placed_at_its_line() {
    let files = parse(&[
        rule("good", json!({})),
        rule("bad field", json!({"query": "proces.name:*"})),
        json!({"attributes": {"actionTypeId": ".email"}, "type": "action"}),
        json!(["no object"]),
        json!({"type": "query", "name": "without an id"}),
        rule("other type", json!({"type": "esql"})),
        json!({"exported_count": 4, "exported_rules_count": 4, "missing_rules": []}),
    ]);
    assert_eq!(
        rendered(&files),
        [
            "1 good Ok ",
            "2 bad field Ok 2:1 undeclared-field",
            "4 - Error 4:1 json",
            "5 - Error 5:1 missing-key, 5:1 missing-key, 5:1 missing-key, 5:1 missing-key, 5:1 missing-key",
            "6 other type Unsupported 6:1 unsupported-type",
        ]
    );
}

#[test]
fn the_flat_form_of_new_terms_is_the_same_rule() {
    let flat = rule(
        "one",
        json!({"type": "new_terms", "new_terms_fields": ["process.name"], "history_window_start": "now-14d"}),
    );
    let toml = "[rule]\nrule_id = \"one\"\nname = \"A rule\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 21\n\
        type = \"new_terms\"\nlanguage = \"kuery\"\nquery = \"process.name:*\"\n[rule.new_terms]\n\
        field = \"new_terms_fields\"\nvalue = [\"process.name\"]\n[[rule.new_terms.history_window_start]]\n\
        field = \"history_window_start\"\nvalue = \"now-14d\"\n";
    let flat = parse(&[flat]).remove(0).expect("a sound rule");
    let toml = fixture::parse(toml).expect("a sound rule");
    assert_eq!(format!("{flat:?}"), format!("{toml:?}"));
    let incomplete = parse(&[rule("one", json!({"type": "new_terms", "new_terms_fields": []}))]);
    assert_eq!(rendered(&incomplete), ["1 one Error 1:1 bad-value, 1:1 missing-key"]);
}

#[test]
fn the_items_of_a_rules_exception_lists_are_found_in_the_file() {
    let lines = [
        rule(
            "excepts",
            json!({"exceptions_list": [{"id": "x", "list_id": "own", "type": "rule_default"}]}),
        ),
        rule(
            "other list",
            json!({"exceptions_list": [{"id": "y", "list_id": "empty", "type": "detection"}]}),
        ),
        rule(
            "no list",
            json!({"exceptions_list": [{"id": "z", "list_id": "elsewhere", "type": "endpoint"}]}),
        ),
        json!({"list_id": "own", "type": "rule_default", "name": "n"}),
        json!({"list_id": "empty", "type": "detection", "name": "n"}),
        json!({"list_id": "own", "item_id": "i", "type": "simple", "comments": [], "entries":
            [{"field": "process.name", "operator": "included", "type": "match", "value": "known"}]}),
    ];
    let mut files = parse(&lines);
    assert_eq!(
        rendered(&files),
        [
            "1 excepts Ok ",
            "2 other list Ok ",
            "3 no list Error 3:1 exceptions-not-in-file"
        ]
    );
    assert!(matches(files.remove(1), "known"));
    assert!(!matches(files.remove(0), "known"));
    assert!(matches(parse(&lines).remove(0), "other"));
}

#[test]
fn what_is_too_long_or_holds_no_rule_is_an_error() {
    assert_eq!(rendered(&parse_rules("")), ["1 - Error 1:1 no-rules"]);
    assert_eq!(
        rendered(&parse_rules(&" ".repeat((16 << 20) + 1))),
        ["1 - Error 1:1 file-too-long"]
    );
    let entry = json!({"field": "process.name", "type": "match", "value": "x".repeat(400 << 10)});
    let item = json!({"list_id": "long", "entries": [entry]});
    let files = parse(&[
        rule(
            "long",
            json!({"exceptions_list": [{"list_id": "long"}, {"list_id": "long"}]}),
        ),
        item,
    ]);
    assert_eq!(rendered(&files), ["1 - Error 1:1 file-too-long"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_there_is_always_a_report(
        text in r#"(\{"rule_id":"a","type":"query","query":"|"exceptions_list":\[|\{"list_id":"l","entries":\[|[a-z"{}\[\]:,0-9.e\\\n é-]){0,30}"#
    ) {
        let files = parse_rules(&text);
        prop_assert!(!files.is_empty());
        for file in files {
            prop_assert!(file.is_ok() || !outcome(&file).1.is_empty());
        }
    }
}
