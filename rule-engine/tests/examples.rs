//! The examples of the crate, run.

use std::path::Path;

#[expect(dead_code, reason = "its `main` reads the command line")]
#[path = "../examples/check.rs"]
mod check;
#[path = "../examples/embed.rs"]
mod embed;

#[test]
fn the_engine_is_embedded_in_a_page() {
    embed::main().expect("the example runs");
}

#[test]
fn a_folder_of_rules_is_checked_with_their_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules");
    let (report, is_sound) = check::check(&folder).expect("a readable folder");
    assert!(is_sound, "{report}");
    assert_eq!(report.matches(": ok, 2 examples\n").count(), 4, "{report}");
}

#[test]
fn a_folder_with_a_bad_rule_is_not_sound_and_the_others_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = include_str!("data/rules/package_tool.toml");
    std::fs::write(
        folder.path().join("a.toml"),
        good.replace("process.name in", "process.nam in"),
    )
    .expect("a file");
    std::fs::write(folder.path().join("b.toml"), good).expect("a file");
    let (report, is_sound) = check::check(folder.path()).expect("a readable folder");
    assert!(!is_sound);
    assert!(
        report.contains("error[unknown-field]: unknown field `process.nam`"),
        "{report}"
    );
    assert!(report.contains("Package tool in a container: ok"), "{report}");
}
