//! EQL against an independent implementation: the Python package `eql`, run as a program of its own.
//!
//! Its licence keeps it out of the project: set-up installs it below the target folder, and `eql_oracle.py` asks it. It
//! compares texts without regard to case, knows no arrays and no `?` in patterns, treats missing fields otherwise and
//! does not ask a regular expression to end with the text. So results are held against it where both are defined alike:
//! small letters, one value a field, nothing missing, patterns with an open end.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rule_engine::{CheckedRule, Engine, EngineOptions, MemoryHistory, ParseOptions, Record, Rules, Schema, parse_rule};
use serde_json::{Value as Json, json};

/// A query, the events it is asked about, and what the package says.
type Answer = (String, Vec<Json>, Json);

/// Asks the package, or says that it is not there.
fn ask(test: &str, questions: Vec<(String, Vec<Json>)>) -> Option<Vec<Answer>> {
    let own_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| own_folder.join("../target"), PathBuf::from);
    let python = target.join("eql-oracle/bin/python3");
    if !python.is_file() {
        // `./dev test` shows and counts these lines; so does `cargo test -- --show-output`.
        eprintln!(
            "SKIPPED {test}: `{}` is not there; `./dev test` installs it",
            python.display()
        );
        return None;
    }
    let mut child = Command::new(python)
        .arg(own_folder.join("tests/eql_oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let lines: String = questions
        .iter()
        .map(|(query, events)| format!("{}\n", json!({"query": query, "events": events})))
        .collect();
    let mut input = child.stdin.take().expect("python's input");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("python ends");
    writer
        .join()
        .expect("the writer ends")
        .expect("python reads all questions");
    assert!(output.status.success(), "{}", output.status);
    let answers = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let answers: Vec<Json> = answers
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    assert_eq!(answers.len(), questions.len());
    let both = questions.into_iter().zip(answers);
    Some(both.map(|((query, events), answer)| (query, events, answer)).collect())
}

fn rule(query: &str) -> Result<CheckedRule, String> {
    let mut file = toml::Table::new();
    for key in ["rule_id", "name", "description"] {
        file.insert(key.to_owned(), "one".into());
    }
    file.insert("severity".to_owned(), "low".into());
    file.insert("risk_score".to_owned(), 1.into());
    file.insert("type".to_owned(), "eql".into());
    file.insert("query".to_owned(), query.into());
    let text = toml::Table::from_iter([("rule".to_owned(), toml::Value::Table(file))]).to_string();
    parse_rule(&text, &ParseOptions::default()).map_err(|report| format!("{:?}", report.diagnostics))
}

fn matches(rule: CheckedRule, events: &[Json]) -> Vec<bool> {
    let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![rule]), EngineOptions::default());
    let mut history = MemoryHistory::default();
    let mut record = Record::new();
    let mut matches = Vec::new();
    for event in events {
        record.fill_from_document(event.as_object().expect("an event is an object"));
        let mut found = false;
        engine.evaluate(&record, &mut history, &mut |_| found = true);
        matches.push(found);
    }
    matches
}

/// Queries of one form or another, and whether they are any.
const BOTH_AGREE: [(&str, bool); 43] = [
    ("process where true", true),
    (r#"any where process.name == "a""#, true),
    (
        r#"process where process.name : ("a*", "b?") and not process.name : "c""#,
        true,
    ),
    (
        r#"process where process.name like~ "a*" or process.name like ("b", "c")"#,
        true,
    ),
    (r#"process where process.name regex~ ("a.*", "b")"#, true),
    (
        r#"process where process.name in ("a", "b") and process.name not in ("c")"#,
        true,
    ),
    (r#"process where process.name in~ ("a", "b")"#, true),
    (
        r#"process where ?process.title == null and ?process.title != null"#,
        true,
    ),
    (r#"process where process.name == """raw \ text""" "#, true),
    (r#"process where process.name == "\"\\\t\u{e9}""#, true),
    ("process where /* why */ true // because", true),
    ("process where process.pid + 1 * 2 == 3 and process.pid % 2 == 1", true),
    ("process where process.pid >= -1 and 5 < process.pid", true),
    ("process where length(process.name) > 3", true),
    (
        r#"process where startsWith~(process.name, "a") or endsWith(process.name, "b")"#,
        true,
    ),
    (r#"process where cidrMatch(source.ip, "10.0.0.0/8", "::1/128")"#, true),
    (r#"process where substring(process.name, 1, 2) == "a""#, true),
    (r#"process where between(process.name, "a", "b") == "c""#, true),
    (r#"process where concat(process.name, "a") == "ba""#, true),
    (r#"process where stringContains(process.name, "a") == true"#, true),
    (r#"process where indexOf(process.name, "a", 1) == 2"#, true),
    (
        r#"process where number(process.name, 10) == 12 and string(process.pid) == "1""#,
        true,
    ),
    ("sequence by host.id [process where true] [any where true]", true),
    (
        "sequence with maxspan=5m [process where true] by user.id [any where true] by process.name",
        true,
    ),
    (
        "sequence by user.id [process where true] [any where true] until [file where true]",
        true,
    ),
    (
        "sequence by user.id [process where true] with runs=3 [any where true]",
        true,
    ),
    ("", false),
    ("process", false),
    ("process where", false),
    ("process where and", false),
    ("process where not", false),
    ("process where (true", false),
    ("process where true)", false),
    ("process where process.name == 'a'", false),
    (r#"process where process.name = "a""#, false),
    (r#"process where process.name == "a"#, false),
    (r#"process where process.name == "a" or"#, false),
    ("process where process.name == process.parent.name", false),
    ("process where process.name in ()", false),
    ("process where sqrt(process.pid) == 1", false),
    ("process where length() == 1", false),
    (
        "sequence by host.id [process where true] by user.id [any where true]",
        false,
    ),
    ("sequence with maxspan=5x [process where true] [any where true]", false),
];

#[test]
fn the_package_accepts_and_refuses_the_same_queries() {
    let name = "the_package_accepts_and_refuses_the_same_queries";
    let questions = BOTH_AGREE.iter().map(|(query, _)| ((*query).to_owned(), Vec::new()));
    let Some(answers) = ask(name, questions.collect()) else {
        return;
    };
    for ((query, _, answer), (_, expected)) in answers.into_iter().zip(BOTH_AGREE) {
        let ours = rule(&query);
        assert_eq!(ours.is_ok(), expected, "{query}: {:?}", ours.err());
        assert_eq!(answer.get("error").is_none(), expected, "{query}: {answer}");
    }
}

#[test]
fn the_package_accepts_elastic_queries_as_we_do() {
    let name = "the_package_accepts_elastic_queries_as_we_do";
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/elastic-rules");
    let corpus = std::env::var_os("TIDEWAITER_ELASTIC_RULES").map_or(beside, PathBuf::from);
    if !corpus.is_dir() {
        eprintln!("SKIPPED {name}: `{}` is not there", corpus.display());
        return;
    }
    let mut questions = Vec::new();
    for folder in ["cloud_defend", "linux"] {
        for entry in fs::read_dir(corpus.join(folder)).expect("a readable folder") {
            let text = fs::read_to_string(entry.expect("a readable entry").path()).expect("a readable file");
            let file: toml::Table = text.parse().expect("a rule file is TOML");
            if file["rule"]["type"].as_str() == Some("eql") {
                let query = file["rule"]["query"].as_str().expect("a query").to_owned();
                questions.push((query.replacen(" where ", " were ", 1), Vec::new()));
                questions.push((query, Vec::new()));
            }
        }
    }
    let Some(answers) = ask(name, questions) else { return };
    assert!(answers.len() > 100);
    for (query, _, answer) in answers {
        let ours = rule(&query);
        assert_eq!(
            ours.is_ok(),
            answer.get("error").is_none(),
            "{query}\n{answer}\n{:?}",
            ours.err()
        );
    }
}

fn one_of(choices: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(choices.to_vec())
}

fn text_operand() -> impl Strategy<Value = String> {
    let field = || one_of(&["process.name", "process.parent.name", "process.command_line"]);
    prop_oneof![
        4 => field().prop_map(str::to_owned),
        1 => (field(), 0..3, 0..4).prop_map(|(field, from, more)| format!("substring({field}, {from}, {})", from + more)),
        1 => (field(), field()).prop_map(|(one, other)| format!("concat({one}, {other})")),
        1 => one_of(&["process.pid", "process.args_count"]).prop_map(|field| format!("string({field})")),
    ]
}

fn number_operand() -> impl Strategy<Value = String> {
    let field = || one_of(&["process.pid", "process.args_count"]);
    prop_oneof![
        3 => field().prop_map(str::to_owned),
        1 => text_operand().prop_map(|text| format!("length({text})")),
        1 => (field(), one_of(&["+", "-", "*"]), 0..4).prop_map(|(field, sign, number)| format!("({field} {sign} {number})")),
        1 => (field(), 1..4).prop_map(|(field, number)| format!("modulo({field}, {number})")),
        1 => (field(), field()).prop_map(|(one, other)| format!("add({one}, {other})")),
    ]
}

fn condition() -> BoxedStrategy<String> {
    let texts = |pattern: &'static str| {
        prop::collection::vec(pattern, 1..4).prop_map(|texts| format!("{texts:?}").replace(['[', ']'], ""))
    };
    let regex = "(a|b|\\.|\\(a\\|b\\)|b\\?){1,3}";
    let text = prop_oneof![
        (one_of(&["==", "!="]), "[ab]{1,3}").prop_map(|(operator, text)| format!("{operator} {text:?}")),
        (one_of(&["in", "not in", "in~"]), texts("[ab]{1,2}"))
            .prop_map(|(operator, list)| format!("{operator} ({list})")),
        (one_of(&[":", "like", "like~"]), texts("[ab*]{1,3}"))
            .prop_map(|(operator, list)| format!("{operator} ({list})")),
        (one_of(&["regex", "regex~"]), regex).prop_map(|(operator, regex)| format!("{operator} \"({regex}).*\"")),
    ];
    let number = prop_oneof![
        (one_of(&["==", "!=", "<", "<=", ">", ">="]), 0..6)
            .prop_map(|(operator, number)| format!("{operator} {number}")),
        (0..6, 0..6).prop_map(|(one, other)| format!("in ({one}, {other})")),
    ];
    let search = (
        one_of(&["startsWith", "endsWith", "stringContains", "startsWith~"]),
        text_operand(),
        "[ab]{1,2}",
    );
    let leaf = prop_oneof![
        4 => (text_operand(), text).prop_map(|(operand, test)| format!("{operand} {test}")),
        3 => (number_operand(), number).prop_map(|(operand, test)| format!("{operand} {test}")),
        1 => search.prop_map(|(function, operand, text)| format!("{function}({operand}, {text:?})")),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), one_of(&["and", "or"]), inner.clone(), any::<bool>()).prop_map(
                |(one, word, other, grouped)| {
                    if grouped {
                        format!("({one} {word} {other})")
                    } else {
                        format!("{one} {word} {other}")
                    }
                }
            ),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
    .boxed()
}

fn event() -> impl Strategy<Value = Json> {
    ("[ab]{1,3}", "[ab]{1,3}", "[ab]{1,3}", 0..5, 0..5).prop_map(|(name, parent, line, pid, count)| {
        json!({"event": {"category": "process"}, "process": {"name": name, "parent": {"name": parent},
            "command_line": line, "pid": pid, "args_count": count}})
    })
}

/// Asks the package a thousand generated questions, and gives how many events matched.
fn compare(test: &str, questions: impl Strategy<Value = (String, Vec<Json>)>) -> Option<usize> {
    let mut runner = TestRunner::deterministic();
    let mut generate = || questions.new_tree(&mut runner).expect("a question").current();
    let answers = ask(test, (0..1_000).map(|_| generate()).collect())?;
    let mut found = 0;
    for (query, events, answer) in answers {
        let ours = matches(rule(&query).unwrap_or_else(|error| panic!("{query}: {error}")), &events);
        found += ours.iter().filter(|matched| **matched).count();
        assert_eq!(json!({"matches": ours}), answer, "{query} on {}", Json::from(events));
    }
    Some(found)
}

#[test]
fn the_package_finds_the_same_events() {
    let questions = (condition(), prop::collection::vec(event(), 8))
        .prop_map(|(condition, events)| (format!("process where {condition}"), events));
    let Some(found) = compare("the_package_finds_the_same_events", questions) else {
        return;
    };
    assert!(
        found > 1_000,
        "only {found} of 8,000 events matched: the queries say little"
    );
}

/// A sequence of two or three terms, most of them by a key, and a stream of events for it.
fn sequence() -> impl Strategy<Value = (String, Vec<Json>)> {
    let equals = |what: &'static str| one_of(&["a", "b", "c"]).prop_map(move |name| format!("{what} == \"{name}\""));
    let term = (
        equals("process.name"),
        prop_oneof![4 => Just(""), 1 => Just(" with runs=2")],
    );
    let stream = prop::collection::vec((one_of(&["a", "b", "c", "d"]), one_of(&["x", "y"]), 0..4_i64), 24);
    (
        one_of(&["", "by user.id", "by user.id", "by user.id"]),
        one_of(&["", "with maxspan=3s", "with maxspan=6s"]),
        prop::collection::vec(term, 2..4),
        any::<bool>(),
        stream,
    )
        .prop_map(|(by, span, terms, until, stream)| {
            let mut query = format!("sequence {by} {span}");
            for (condition, runs) in terms {
                query += &format!(" [process where {condition}]{runs}");
            }
            if until {
                // No term's: whether an event ends what it begins is defined otherwise there.
                query += r#" until [process where process.name == "d"]"#;
            }
            let mut time = 1_760_000_000_000_i64;
            let event = |(name, user, pause)| {
                time += pause * 1_000;
                json!({"@timestamp": time, "event": {"category": "process"}, "process": {"name": name},
                    "user": {"id": user}})
            };
            (query, stream.into_iter().map(event).collect())
        })
}

#[test]
fn the_package_completes_the_same_sequences() {
    let Some(found) = compare("the_package_completes_the_same_sequences", sequence()) else {
        return;
    };
    assert!(
        found > 500,
        "only {found} sequences were completed: the queries say little"
    );
}
