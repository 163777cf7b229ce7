//! Elastic's own rule files, read from outside the project: they load unmodified and mean what they say.
//!
//! The files are not part of the project. `TIDEWAITER_ELASTIC_RULES` names the directory; without it
//! `../shared/elastic-rules` beside the repository is tried.

#[path = "shared/corpus.rs"]
mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use corpus::{corpus, options};
use rule_engine::{
    CheckedRule, Code, DocumentCounts, Engine, EngineOptions, MemoryHistory, Record, Rules, Schema, parse_rule,
};
use serde_json::{Map, Value as Json, json};

fn load(path: &Path) -> CheckedRule {
    let text = fs::read_to_string(path).expect("a readable rule file");
    parse_rule(&text, &options()).unwrap_or_else(|report| panic!("{}: {report:?}", path.display()))
}

fn reference_rule(corpus: &Path, file: &str) -> CheckedRule {
    load(&corpus.join("reference").join(file))
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

/// An exec in a container's interactive session, with the given arguments.
fn interactive_exec(args: &[&str]) -> Map<String, Json> {
    object(json!({
        "@timestamp": "2026-01-02T03:04:05.678Z",
        "event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec"},
        "host": {"os": {"type": "linux"}},
        "process": {
            "name": args[0], "executable": format!("/usr/bin/{}", args[0]), "args": args, "args_count": args.len(),
            "interactive": true, "entry_leader": {"entry_meta": {"type": "container"}},
        },
        "container": {"id": "3fdfb8a1c0de", "name": "web", "image": {"name": "shop"}},
    }))
}

/// How often the rule matches each of the events, shown one after the other.
fn matches(rule: CheckedRule, events: &[Map<String, Json>]) -> Vec<usize> {
    let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![rule]), EngineOptions::default());
    let mut history = MemoryHistory::default();
    let mut record = Record::new();
    let mut counts = Vec::new();
    for event in events {
        assert_eq!(record.fill_from_document(event), DocumentCounts::default());
        let mut count = 0;
        engine.evaluate(&record, &mut history, &mut |_| count += 1);
        counts.push(count);
    }
    counts
}

#[test]
fn the_tool_installation_rule_fires_on_interactive_installs_in_containers_only() {
    let Some(corpus) = corpus("the_tool_installation_rule_fires_on_interactive_installs_in_containers_only") else {
        return;
    };
    let rule = reference_rule(&corpus, "execution_tool_installation.toml");
    let install = interactive_exec(&["apt", "install", "-y", "curl"]);
    let add = interactive_exec(&["apk", "add", "socat"]);
    let other_tool = interactive_exec(&["apt", "install", "vim"]);
    let mut not_interactive = install.clone();
    not_interactive["process"]["interactive"] = false.into();
    let mut on_host = install.clone();
    on_host.remove("container");
    assert_eq!(
        matches(rule, &[install, add, other_tool, not_interactive, on_host]),
        [1, 1, 0, 0, 0]
    );
}

#[test]
fn the_unusual_process_rule_fires_on_the_first_event_of_each_name() {
    let Some(corpus) = corpus("the_unusual_process_rule_fires_on_the_first_event_of_each_name") else {
        return;
    };
    let rule = reference_rule(&corpus, "execution_unusual_interactive_process_inside_container.toml");
    let bash = interactive_exec(&["bash"]);
    let curl = interactive_exec(&["curl", "http://example.com"]);
    let mut later = bash.clone();
    later["@timestamp"] = "2026-01-16T03:04:05.678Z".into();
    let mut much_later = bash.clone();
    much_later["@timestamp"] = "2026-01-31T00:00:00Z".into();
    assert_eq!(
        matches(rule, &[bash.clone(), bash, curl, later, much_later]),
        [1, 0, 1, 0, 1]
    );
}

#[test]
fn every_rule_is_ok_and_warns_of_what_no_source_produces() {
    let Some(corpus) = corpus("every_rule_is_ok_and_warns_of_what_no_source_produces") else {
        return;
    };
    for folder in ["cloud_defend", "linux"] {
        let mut paths: Vec<PathBuf> = fs::read_dir(corpus.join(folder))
            .expect("a readable folder")
            .map(|entry| entry.expect("a readable entry").path())
            .collect();
        paths.sort();
        for path in &paths {
            let rule = load(path);
            let text = fs::read_to_string(path).expect("a readable rule file");
            let is_about_files = text.contains("\nfile where ");
            let is_reported = rule.warnings.iter().any(|found| found.code == Code::IndexWithoutSource);
            assert_eq!(is_reported, is_about_files, "{}: {:?}", path.display(), rule.warnings);
        }
        println!("{folder}: {} rules run", paths.len());
    }
}
