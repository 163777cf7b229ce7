//! Rule files and documents that are too large, too deep or nonsense: each has a limit and a diagnostic, and the good
//! rule beside them runs.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tests::program::tidewaiter;

/// A rule of the given type, with lines of its own behind its query.
fn rule(id: &str, rule_type: &str, query: &str, tail: &str) -> String {
    format!(
        "[rule]\nrule_id = \"{id}\"\nname = \"{id}\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
         type = \"{rule_type}\"\nquery = \'\'\'{query}\'\'\'\n{tail}"
    )
}

fn eql(id: &str, condition: &str) -> String {
    rule(id, "eql", &format!("process where {condition}"), "")
}

fn good() -> String {
    eql("good", r#"process.name == "needle""#)
}

/// File names, contents, and the code of the diagnostic that each gets; none for those that run.
fn files() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let strings = |count: usize| -> String {
        let strings: Vec<String> = (0..count).map(|number| format!("\"value-{number}\"")).collect();
        strings.join(", ")
    };
    let long_note = format!("note = \"{}\"\n", "n".repeat(100 << 10));
    let long_query: Vec<String> = (0..2_500)
        .map(|number| format!("process.args == \"argument {number}\""))
        .collect();
    let exception = "[[rule.exceptions_list]]\nlist_id = \"self\"\nentries = [{ field = \"process.name\", \
                     operator = \"included\", type = \"list\", list = { id = \"self\", type = \"keyword\" } }]\n";
    let nested = "[[rule.exceptions_list]]\nentries = [{ field = \"process\", type = \"nested\", entries = [\
                  { field = \"parent\", type = \"nested\", entries = [] }] }]\n";
    let file = |name, text: String, code| (name, text.into_bytes(), code);
    vec![
        file("00-good.toml", good(), None),
        file(
            "01-long-note.toml",
            rule("long note", "eql", "process where false", &long_note),
            None,
        ),
        file("02-long-query.toml", eql("long query", &long_query.join(" or ")), None),
        file(
            "03-longer-query.toml",
            eql("longer", &long_query.join(" or ").repeat(4)),
            Some("query-too-long"),
        ),
        file("04-long-file.toml", "#".repeat(600 << 10), Some("file-too-long")),
        file(
            "05-deep.toml",
            eql("deep", &format!("{}true{}", "(".repeat(10_000), ")".repeat(10_000))),
            Some("nesting"),
        ),
        file(
            "06-deep-kql.toml",
            rule("deep kql", "query", &"not ".repeat(10_000), ""),
            Some("nesting"),
        ),
        file(
            "07-regex.toml",
            eql("regex", r#"process.name regex "((a{1000}){1000}){1000}""#),
            Some("regex-too-large"),
        ),
        file(
            "08-negated-regex.toml",
            eql("complement", r#"process.name regex "~(.*a.{60})""#),
            Some("regex-too-large"),
        ),
        file(
            "09-list.toml",
            eql("list", &format!("process.name in ({})", strings(10_000))),
            Some("list-too-long"),
        ),
        file(
            "10-huge-list.toml",
            eql("huge list", &format!("process.name in ({})", strings(100_000))),
            Some("file-too-long"),
        ),
        file(
            "11-cycle.toml",
            rule("cycle", "eql", "process where true", exception),
            Some("unsupported-exception"),
        ),
        file(
            "12-nested.toml",
            rule("nested", "eql", "process where true", nested),
            Some("unsupported-exception"),
        ),
        file("13-same-id.toml", good(), Some("duplicate-rule-id")),
        file("14-empty.toml", String::new(), Some("missing-key")),
        ("15-bytes.toml", vec![0, 159, 146, 150, 255], Some("unreadable-file")),
        file("16-control.toml", "\0\u{1}\u{2}".to_owned(), Some("toml")),
        file(
            "17-types.toml",
            "[rule]\nrule_id = 1\nname = []\ntype = {}\n".to_owned(),
            Some("wrong-type"),
        ),
        file("18-deep-toml.toml", format!("a = {}", "[".repeat(10_000)), Some("toml")),
        file(
            "19-export.ndjson",
            "{\"rule_id\": 7}\nno json\n".to_owned(),
            Some("json"),
        ),
        file("20-patterns.toml", eql("patterns", PATHOLOGICAL), None),
    ]
}

/// Each of these takes a search that goes back and forth a time that doubles with every letter.
const PATHOLOGICAL: &str = r#"process.args regex ("(a*)*(a|aa)*b", "((a+)+)+c", "~(~(a*)*(a|aa)*)") or
    process.args like ("*a*a*a*a*a*a*a*a*b", "*?a?*?a?*?a?*c") or process.args : "*A*a*A*a*A*a*b""#;

fn check(paths: &std::path::Path) -> Result<(Option<i32>, Vec<Value>)> {
    let output = Command::new(tidewaiter()?)
        .args(["rules", "check", "--format", "json"])
        .arg(paths)
        .output()?;
    let reports = serde_json::from_slice(&output.stdout).context("the reports are JSON")?;
    Ok((output.status.code(), reports))
}

fn codes(report: &Value) -> Vec<&str> {
    let diagnostics = report["diagnostics"].as_array().into_iter().flatten();
    diagnostics.filter_map(|found| found["code"].as_str()).collect()
}

#[test]
fn each_bad_rule_file_gets_its_diagnostic_and_the_good_rule_is_ok() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, bytes, _) in files() {
        fs::write(folder.path().join(name), bytes)?;
    }
    let (status, reports) = check(folder.path())?;
    assert_eq!(status, Some(1));
    for (name, _, code) in files() {
        let of_file = |report: &&Value| report["path"].as_str().is_some_and(|path| path.ends_with(name));
        let found: Vec<&Value> = reports.iter().filter(of_file).collect();
        assert!(!found.is_empty(), "{name}: no report");
        let all_codes: Vec<&str> = found.iter().flat_map(|report| codes(report)).collect();
        match code {
            None => assert_eq!(found[0]["status"], "ok", "{name}: {}", found[0]),
            Some(code) => {
                assert!(
                    found.iter().all(|report| report["status"] == "error"),
                    "{name}: {found:?}"
                );
                assert!(all_codes.contains(&code), "{name}: {all_codes:?}");
                let placed = |found: &Value| found["line"].as_u64() >= Some(1) && found["column"].as_u64() >= Some(1);
                let mut diagnostics = found
                    .iter()
                    .flat_map(|report| report["diagnostics"].as_array().into_iter().flatten());
                assert!(diagnostics.all(placed), "{name}: {found:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_folder_without_rules_is_a_usage_error_that_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("readme.md"), "no rule")?;
    let output = Command::new(tidewaiter()?)
        .args(["rules", "check"])
        .arg(folder.path())
        .output()?;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("no rule") && said.contains(&*folder.path().to_string_lossy()),
        "{said}"
    );
    Ok(())
}

/// Replays the documents with all the rule files there are; gives the output and how long it took.
fn replay(documents: &[String]) -> Result<(Output, Duration)> {
    let folder = tempfile::tempdir()?;
    for (name, bytes, _) in files() {
        fs::write(folder.path().join(name), bytes)?;
    }
    let begun = Instant::now();
    let mut child = Command::new(tidewaiter()?)
        .args(["replay", "--rules"])
        .arg(folder.path())
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("the input is connected")?;
    let text = documents.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    writer.join().expect("the writer ends")?;
    Ok((output, begun.elapsed()))
}

fn needle(time: &str, more: Value) -> String {
    let mut event = Map::new();
    event.insert("@timestamp".to_owned(), time.into());
    event.insert("event.category".to_owned(), "process".into());
    event.insert("process.name".to_owned(), "needle".into());
    event.extend(more.as_object().cloned().unwrap_or_default());
    if event["@timestamp"] == "" {
        event.remove("@timestamp");
    }
    Value::Object(event).to_string()
}

#[test]
fn documents_of_any_kind_are_taken_or_named_and_the_others_lead_to_alerts() -> Result<()> {
    let documents = [
        needle("2026-01-01T00:00:00Z", json!({})),
        needle(
            "2026-01-01T00:00:01Z",
            json!({"process.command_line": "x".repeat(10 << 20)}),
        ),
        needle(
            "2026-01-01T00:00:02Z",
            json!({"process.pid": "seven", "process.interactive": 3, "host.ip": {"a": 1}}),
        ),
        needle(
            "2026-01-01T00:00:03Z",
            json!({"process.args": [[["nested"]], null, 7, true]}),
        ),
        needle("2025-12-31T00:00:00Z", json!({})),
        needle("", json!({})),
        needle("yesterday", json!({})),
        needle("2026-01-01T00:00:04Z", json!({"no.such.field": {"deep": ["x"]}})),
        "[1, 2]".to_owned(),
        "{\"event\":".to_owned(),
        format!("{}{}", "{\"a\":".repeat(10_000), "1"),
        format!("\"{}\"", "y".repeat(17 << 20)),
    ];
    let (output, _) = replay(&documents)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let alerts = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    assert_eq!(alerts.count(), 8, "{said}");
    for line in ["9", "10", "11", "12"] {
        assert!(
            said.contains(&format!("line {line}")),
            "line {line} is not named in:\n{said}"
        );
    }
    Ok(())
}

/// With 128 KiB of letters any search that is more than linear would take minutes.
#[test]
fn hard_patterns_over_long_arguments_take_no_time_to_speak_of() -> Result<()> {
    let arguments = ["a".repeat(128 << 10), "A?a".repeat(40 << 10)];
    let documents: Vec<String> = (0..20)
        .map(|second| {
            needle(
                &format!("2026-01-01T00:00:{second:02}Z"),
                json!({"process.args": arguments}),
            )
        })
        .collect();
    let (output, took) = replay(&documents)?;
    let alerts = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    assert!(alerts.count() >= 20, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(took < Duration::from_secs(60), "{took:?}");
    Ok(())
}
