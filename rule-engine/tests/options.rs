//! What an embedder may want otherwise: fields, limits, the name of the engine's own table.

use rule_engine::{
    Code, DocumentReader, Engine, EngineLimits, EngineOptions, FieldType, Format, MemoryHistory, ParseOptions,
    Producer, Record, RuleLimits, Rules, Schema, parse_rule, parse_rules, run_examples,
};

fn rule(query: &str, tail: &str) -> String {
    format!(
        "[rule]\nrule_id = \"1\"\nname = \"A\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
         type = \"eql\"\nquery = '''{query}'''\n{tail}"
    )
}

fn own_schema() -> Schema {
    let schema = Schema::ecs().with_field("acme.cost", FieldType::Long);
    let schema = schema.and_then(|schema| schema.with_field("acme.labels", FieldType::Object));
    schema.expect("new fields")
}

#[test]
fn declared_fields_are_read_compared_and_written_as_those_of_the_table() {
    let schema = own_schema();
    let options = ParseOptions::new(Producer::new(schema.clone()));
    let query = "any where acme.cost > 3 and acme.labels.tier == \"a\" and process.name == \"sh\"";
    let rules = Rules::compile(
        &schema,
        vec![parse_rule(&rule(query, ""), &options).expect("a sound rule")],
    );
    let document = r#"{"acme":{"cost":4,"labels":{"tier":"a"}},"process":{"name":"sh"}}"#;
    let mut read = rules.narrow_record();
    let counts = DocumentReader::new(&read).read(document, &mut read).expect("JSON");
    assert_eq!(counts.unfit_values, 0);
    let mut filled = Record::with_schema(&schema);
    filled.fill_from_document(&serde_json::from_str(document).expect("JSON"));
    let mut engine = Engine::new(rules, EngineOptions::default());
    for record in [&read, &filled] {
        let mut reasons = Vec::new();
        engine.evaluate(record, &mut MemoryHistory::default(), &mut |found| {
            reasons.extend(found.reason)
        });
        assert_eq!(
            reasons,
            ["acme.cost is 4", "acme.labels.tier is `a`", "process.name is `sh`"]
        );
    }
    let written: serde_json::Value = filled.to_document().into();
    assert_eq!(
        written,
        serde_json::from_str::<serde_json::Value>(document).expect("JSON")
    );
}

#[test]
fn a_field_that_is_not_declared_is_unknown() {
    let report = parse_rule(&rule("any where acme.cost > 3", ""), &ParseOptions::default()).expect_err("no such field");
    assert_eq!(report.diagnostics[0].code, Code::UnknownField);
}

#[test]
#[should_panic(expected = "another schema")]
fn a_record_of_another_schema_is_refused() {
    let rules = Rules::compile(&own_schema(), Vec::new());
    let mut engine = Engine::new(rules, EngineOptions::default());
    engine.evaluate(&Record::new(), &mut MemoryHistory::default(), &mut |_| {});
}

#[test]
#[should_panic(expected = "another schema")]
fn rules_of_another_schema_are_refused() {
    let ecs = parse_rule(&rule("any where true", ""), &ParseOptions::default()).expect("a sound rule");
    Rules::compile(&own_schema(), vec![ecs]);
}

#[test]
fn limits_are_those_of_the_embedder() {
    let mut limits = RuleLimits::default();
    limits.list_length = 2;
    let options = ParseOptions::default()
        .with_limits(limits)
        .expect("limits that can be kept");
    let text = rule("any where process.name in (\"a\", \"b\", \"c\")", "");
    assert_eq!(
        parse_rule(&text, &options).expect_err("a long list").diagnostics[0].code,
        Code::ListTooLong
    );
    parse_rule(&text, &ParseOptions::default()).expect("a list that is not long");

    let mut limits = EngineLimits::default();
    limits.groups = 1;
    let options = EngineOptions::default()
        .with_limits(limits)
        .expect("limits that can be kept");
    let query = "sequence by process.pid [any where process.name == \"a\"] [any where process.name == \"b\"]";
    let parsed = parse_rule(&rule(query, ""), &ParseOptions::default()).expect("a sound rule");
    let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![parsed]), options);
    let mut record = Record::new();
    for pid in 0..3 {
        let event = serde_json::json!({"@timestamp": pid, "process": {"name": "a", "pid": pid}});
        record.fill_from_document(event.as_object().expect("an object"));
        engine.evaluate(&record, &mut MemoryHistory::default(), &mut |_| {});
    }
    assert_eq!(engine.counters().groups_evicted, 2);
}

#[test]
fn one_bad_rule_does_not_stop_the_others() {
    let line = |id: &str, query: &str| {
        serde_json::json!({"rule_id": id, "name": "A", "description": "d", "severity": "low", "risk_score": 1,
            "type": "query", "query": query})
    };
    let text = format!("{}\n{{\n{}\n", line("bad", "a:("), line("good", "process.name:*"));
    let parsed = parse_rules(&text, Format::Ndjson, &ParseOptions::default());
    let sound: Vec<bool> = parsed.iter().map(Result::is_ok).collect();
    assert_eq!(sound, [false, false, true]);
    assert_eq!(parsed[2].as_ref().map(|rule| rule.line).expect("a sound rule"), 3);
}

#[test]
fn the_table_of_the_engine_has_the_name_that_the_embedder_gives_it() {
    let tail = "[[acme.examples]]\nname = \"a\"\nexpect = \"match\"\nevents = [{ process.name = \"a\" }]\n";
    let text = rule("any where true", tail);
    let examples = |options: &ParseOptions| run_examples(&parse_rule(&text, options).expect("a sound rule")).len();
    let report = parse_rule(&text, &ParseOptions::default()).expect_err("a table that nobody named");
    assert_eq!(report.to_string(), "unknown key `acme` in a rule file");
    assert_eq!(examples(&ParseOptions::default().with_own_table("acme")), 1);
}
