use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use rule_engine::FieldType;

use super::problem::parse_duration;
use super::*;

fn check(text: &str, expect: Expect) {
    let rendered = match Config::from_toml(text) {
        Ok(config) => format!("{config:#?}"),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    };
    expect.assert_eq(&rendered);
}

#[test]
fn the_printed_default_is_the_default() {
    assert_eq!(Config::from_toml(DEFAULT_TOML).unwrap(), Config::default());
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
}

#[test]
fn the_documentation_names_every_key_with_its_default() {
    let documentation = include_str!("../../../docs/configuration.md");
    let settings = DEFAULT_TOML
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(" = "));
    for (key, default) in settings.filter_map(|line| line.split_once(" = ")) {
        let mut rows = documentation
            .lines()
            .filter(|line| line.starts_with(&format!("| `{key}`")));
        assert!(rows.any(|row| row.contains(&format!("| `{default}` |"))), "{key}");
    }
}

#[test]
fn all_unknown_keys_are_reported_with_what_may_have_been_meant() {
    check(
        "learn_fro = \"1h\"\nquux = 1\n[containers]\ndocker_sock = \"/x\"\n",
        expect![[r#"
            1:1: unknown key `learn_fro` (did you mean `learn_for`?)
            2:1: unknown key `quux`
            4:1: unknown key `docker_sock` (did you mean `docker_socket`?)
        "#]],
    );
}

#[test]
fn all_values_out_of_range_are_reported_at_their_place() {
    check(
        "learn_for = \"soon\"\nformat = \"xml\"\n[kernel]\nring_buffer_bytes = 100000\narguments_limit_bytes = -1\n",
        expect![[r#"
            1:13: a duration is a whole number and a unit (ms, s, m, h or d), such as `10m`
            2:10: the format is one of `auto`, `text` and `json`
            4:21: the size has to be a power of two, such as 65536 or 131072
            5:25: `-1` is out of range: 4096 to 1048576
        "#]],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_reported_at_its_place() {
    check(
        "\nstock_rules = \"yes\"\n",
        expect![[r#"
        2:15: invalid type: string "yes", expected a boolean
    "#]],
    );
    check(
        "kernel = 1\n",
        expect![[r#"
            1:10: invalid type: integer `1`, expected a table
        "#]],
    );
}

#[test]
fn further_engines_say_whose_containers_are_theirs() {
    let engines = |text: &str| {
        let config = Config::from_toml(&format!("[containers]\nfurther_engines = {text}\n"));
        let engines = config.map(|config| config.containers.further_engines);
        format!("{engines:?}")
    };
    expect![[r#"Ok([EngineSocket { kind: Containerd, path: "/n/c.sock", place: Inside("node") }, EngineSocket { kind: Podman, path: "/p.sock", place: User(1000) }])"#]]
        .assert_eq(&engines(r#"[{engine = "containerd", socket = "/n/c.sock", inside = "node"}, {engine = "podman", socket = "/p.sock", user = 1000}]"#));
    for wrong in [
        r#"[{engine = "lxc", socket = "/x"}]"#,
        r#"[{engine = "podman", socket = "/x", user = 1, inside = "y"}]"#,
        r#"[{engine = "podman", socket = "/x", usr = 1}]"#,
        r#"[{engine = "podman"}]"#,
    ] {
        assert!(
            engines(wrong).starts_with("Err([Problem { line: 2"),
            "{wrong}: {}",
            engines(wrong)
        );
    }
}

#[test]
fn fields_are_declared_by_whole_names_or_by_tables() {
    let config = Config::from_toml("[schema]\nacme.team = \"keyword\"\n\"acme.count\" = \"long\"\n").unwrap();
    let declared: Vec<(&str, FieldType)> = config
        .own_fields
        .iter()
        .map(|(name, of)| (name.as_str(), *of))
        .collect();
    assert_eq!(
        declared,
        [("acme.count", FieldType::Long), ("acme.team", FieldType::Keyword)]
    );
    for (text, expected) in [
        (
            "acme.team = \"keywrod\"",
            "1:10: `acme.team`: `keywrod` is no type of a field: `keyword`, `text`, `long`, `float`, `boolean`, `date` or `ip`\n",
        ),
        (
            "acme.team = 1",
            "1:10: the type of `acme.team` is a text, such as \"keyword\"\n",
        ),
        (
            "process.name = \"long\"",
            "1:10: there is a field `process.name` already\n",
        ),
    ] {
        let problems = Config::from_toml(&format!("schema = {{{text}}}\n")).unwrap_err();
        assert_eq!(
            problems
                .iter()
                .map(|problem| format!("{problem}\n"))
                .collect::<String>(),
            expected
        );
    }
}

#[test]
fn an_empty_path_switches_an_engine_off() {
    let config = Config::from_toml("[containers]\npodman_socket = \"\"\ncrio_socket = \"\"\n").unwrap();
    let kinds: Vec<&str> = config
        .containers
        .engines()
        .iter()
        .map(|engine| engine.kind.name())
        .collect();
    assert_eq!(kinds, ["docker", "containerd"]);
}

#[test]
fn a_syntax_error_is_reported_at_its_place() {
    check(
        "rules = [\nstock_rules = true\n",
        expect![[r#"
        2:13: unexpected `=` in array, expected value, `]`
    "#]],
    );
}

#[test]
fn durations_are_a_number_and_a_unit() {
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86400)));
    for wrong in [
        "",
        "m",
        "10",
        "1.5h",
        "-1s",
        "10 m",
        "1h30m",
        "99999999999999999999s",
        "9999999999999999d",
    ] {
        assert!(parse_duration(wrong).is_err(), "`{wrong}` was accepted");
    }
}

#[test]
fn a_file_that_was_named_has_to_exist() {
    let error = Config::load(Some(Path::new("/nonexistent/tidewaiter.toml"))).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_problem_inside_the_text(text in "\\PC*|([a-z_]{1,9} = .{0,9}\n){0,4}") {
        if let Err(problems) = Config::from_toml(&text) {
            proptest::prop_assert!(!problems.is_empty());
            for problem in problems {
                proptest::prop_assert!(problem.line <= text.split('\n').count());
            }
        }
    }
}
