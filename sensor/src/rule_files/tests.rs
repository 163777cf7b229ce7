use std::fs;

use rule_engine::{Expectation, Severity, parse_rule};

use super::find::MAX_FILE_BYTES;
use super::*;

mod stock;

fn write(directory: &Path, name: &str, text: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn codes(rules: &RuleFiles) -> Vec<(String, Vec<&'static str>)> {
    let file_name = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    rules
        .reports()
        .map(|report| {
            (
                file_name(&report.path),
                report
                    .diagnostics
                    .iter()
                    .map(|diagnostic| diagnostic.code.as_str())
                    .collect(),
            )
        })
        .collect()
}

#[test]
fn every_stock_rule_is_built_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let on_disk: Vec<_> = files_below(&directory)
        .unwrap()
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let built_in: Vec<_> = STOCK_RULES.iter().map(|(_, text)| (*text).to_owned()).collect();
    assert_eq!(built_in, on_disk);
}

#[test]
fn every_stock_rule_can_run_and_keeps_to_its_examples() {
    for file in RuleFiles::stock().files {
        assert_eq!(file.report.status, RuleStatus::Ok, "{:?}", file.report);
        let outcomes = rule_engine::run_examples(file.rule.as_ref().unwrap());
        for expectation in [Expectation::Match, Expectation::NoMatch] {
            assert!(
                outcomes.iter().any(|outcome| outcome.expect == expectation),
                "{}",
                file.report.path
            );
        }
        assert!(
            outcomes.iter().all(rule_engine::ExampleOutcome::passed),
            "{outcomes:#?}"
        );
    }
}

#[test]
fn every_code_is_documented_with_its_severity() {
    let rows = include_str!("../../../docs/diagnostics.md").lines();
    let documented: Vec<(&str, &str)> = rows
        .filter_map(|row| row.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(code, rest)| Some((code, rest.split_once(" | ")?.0)))
        .collect();
    let codes: Vec<(&str, &str)> = Code::ALL
        .iter()
        .map(|code| {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            (code.as_str(), severity)
        })
        .collect();
    assert_eq!(documented, codes);
}

#[test]
fn a_report_keeps_the_names_of_its_json_form() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        directory.path(),
        "a.toml",
        b"[rule]\nrule_id = \"one\"\ntype = \"esql\"\n",
    );
    let rules = RuleFiles::from_paths(std::slice::from_ref(&path), &Config::default()).unwrap();
    let report = serde_json::to_value(&rules.files[0].report).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["path", "rule_id", "name", "type", "status", "diagnostics"]);
    assert_eq!(report["path"], path.to_str().unwrap());
    assert_eq!(
        (&report["status"], &report["type"]),
        (&"unsupported".into(), &"esql".into())
    );
}

#[test]
fn the_rule_in_the_documentation_keeps_to_its_examples() {
    let documentation = include_str!("../../../docs/rules.md");
    let (_, rest) = documentation.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let rule = parse_rule(text, &parse_options(DataStreams::default())).unwrap();
    assert!(rule.warnings.is_empty(), "{:?}", rule.warnings);
    let outcomes = rule_engine::run_examples(&rule);
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.passed()).count(),
        3,
        "{outcomes:#?}"
    );
}

#[test]
fn directories_are_searched_in_order_and_hidden_or_other_files_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "b.toml",
        "a/z.toml",
        "notes.md",
        ".hidden.toml",
        ".git/x.toml",
        "a/deep/er.toml",
    ] {
        write(directory.path(), name, b"");
    }
    nix::unistd::mkfifo(&directory.path().join("fifo.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let files = files_below(directory.path()).unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|file| file.strip_prefix(directory.path()).unwrap())
        .collect();
    assert_eq!(
        names,
        [Path::new("a/deep/er.toml"), Path::new("a/z.toml"), Path::new("b.toml")]
    );
}

#[test]
fn a_path_that_names_no_rule_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [directory.path().to_owned()];
    assert!(matches!(
        RuleFiles::from_paths(&paths, &Config::default()),
        Err(RuleFilesError::NoRules { .. })
    ));
    let paths = [directory.path().join("absent")];
    assert!(matches!(
        RuleFiles::from_paths(&paths, &Config::default()),
        Err(RuleFilesError::Unreadable { .. })
    ));
}

#[test]
fn a_directory_that_contains_itself_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(directory.path(), directory.path().join("again")).unwrap();
    assert!(matches!(
        files_below(directory.path()),
        Err(RuleFilesError::TooMuch { .. })
    ));
}

#[test]
fn only_the_default_directory_may_be_absent() {
    let config = Config {
        stock_rules: false,
        ..Config::default()
    };
    if holds_no_rule(Path::new(DEFAULT_RULES_DIRECTORY)) {
        assert!(matches!(
            RuleFiles::from_config(&config),
            Err(RuleFilesError::NoneConfigured)
        ));
    }
    let config = Config {
        rules: vec![PathBuf::from("/nonexistent/rules")],
        ..Config::default()
    };
    assert!(matches!(
        RuleFiles::from_config(&config),
        Err(RuleFilesError::Unreadable { .. })
    ));
}

#[test]
fn bad_files_are_reported_and_the_others_run() {
    let directory = tempfile::tempdir().unwrap();
    let (_, stock) = STOCK_RULES[0];
    write(directory.path(), "1-good.toml", stock.as_bytes());
    write(directory.path(), "2-same-id.toml", stock.as_bytes());
    write(directory.path(), "3-bytes.toml", &[0xff, 0xfe]);
    write(
        directory.path(),
        "4-long.toml",
        &vec![b'#'; MAX_FILE_BYTES as usize + 1],
    );
    let mut rules = RuleFiles::from_paths(&[directory.path().to_owned()], &Config::default()).unwrap();
    assert_eq!(
        codes(&rules),
        [
            ("1-good.toml".to_owned(), vec![]),
            ("2-same-id.toml".to_owned(), vec!["duplicate-rule-id"]),
            ("3-bytes.toml".to_owned(), vec!["unreadable-file"]),
            ("4-long.toml".to_owned(), vec!["unreadable-file"]),
        ]
    );
    let duplicate = &rules.files[1].report.diagnostics[0];
    assert!(duplicate.message.contains("1-good.toml"), "{}", duplicate.message);
    assert!(
        rules.files[1]
            .text
            .lines()
            .nth(duplicate.line as usize - 1)
            .unwrap()
            .starts_with("rule_id")
    );
    assert_eq!(rules.take_rules().len(), 1);
}

#[test]
fn all_rules_of_an_export_are_read_and_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let rule = |id: &str| {
        serde_json::json!({"rule_id": id, "name": "n", "description": "d", "severity": "low", "risk_score": 1,
            "type": "query", "query": "process.name:*"})
    };
    let text = format!("{}\n{}\n{}\n", rule("a"), rule("b"), rule("a"));
    write(directory.path(), "export.ndjson", text.as_bytes());
    let mut rules = RuleFiles::from_paths(&[directory.path().to_owned()], &Config::default()).unwrap();
    let codes: Vec<_> = codes(&rules).into_iter().map(|(_, codes)| codes).collect();
    assert_eq!(codes, [vec![], vec!["same-condition"], vec!["duplicate-rule-id"]]);
    assert_eq!(rules.files[2].report.diagnostics[0].line, 3);
    let first = format!("{}:1", rules.files[0].report.path);
    for file in &rules.files[1..] {
        let message = &file.report.diagnostics[0].message;
        assert!(message.contains(&first), "{message}");
    }
    assert_eq!(rules.take_rules().len(), 2);
}

#[test]
fn rules_may_name_the_fields_that_the_configuration_declares() {
    let directory = tempfile::tempdir().unwrap();
    let rule = "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
        type = \"eql\"\nquery = 'process where acme.count > 1'\n";
    let config = |text: &str| Config {
        rules: vec![write(directory.path(), "one.toml", rule.as_bytes())],
        stock_rules: false,
        ..Config::from_toml(text).unwrap()
    };
    let undeclared = RuleFiles::from_config(&config("")).unwrap();
    assert_eq!(codes(&undeclared), [("one.toml".to_owned(), vec!["unknown-field"])]);
    let declared = RuleFiles::from_config(&config("[schema]\nacme.count = \"long\"\n")).unwrap();
    assert_eq!(codes(&declared), [("one.toml".to_owned(), vec![])]);
    let taken = RuleFiles::from_config(&config("[schema]\ntidewaiter.process.argv0 = \"long\"\n"));
    assert!(matches!(taken, Err(RuleFilesError::OwnField(_))));
}
