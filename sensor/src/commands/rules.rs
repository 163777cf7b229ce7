//! `tidewaiter rules check|list|test`: what rule files hold, what is wrong with them, whether they do what they say.
//!
//! The JSON form of all three is the same array of reports; a failed example is one more diagnostic of its rule.

use std::fmt::Write as _;
use std::io::{self, Write};

use rule_engine::{Code, Diagnostic, ExampleOutcome, Expectation, run_examples};

use super::error::{CommandError, ExitStatus};
use crate::cli::RulesCommand;
use crate::config::{Config, Format};
use crate::rule_files::{RuleFile, RuleFiles, RuleReport, RuleStatus, line_of};
use crate::text::escape::Visible;

pub(crate) fn main(command: &RulesCommand) -> Result<ExitStatus, CommandError> {
    let (RulesCommand::Check(arguments) | RulesCommand::List(arguments) | RulesCommand::Test(arguments)) = command;
    let config = Config::load(arguments.config.config.as_deref())?;
    let mut rules = RuleFiles::from_paths(&arguments.paths, &config)?;
    let examples = match command {
        RulesCommand::Test(_) => rules.files.iter_mut().map(test).sum(),
        RulesCommand::Check(_) | RulesCommand::List(_) => 0,
    };
    let mut text = match (command, arguments.format) {
        (_, Format::Json) => json(&rules),
        (RulesCommand::List(_), Format::Text) => list(&rules),
        (RulesCommand::Check(_), Format::Text) => diagnostics(&rules),
        (RulesCommand::Test(_), Format::Text) => diagnostics(&rules) + &format!("{examples} examples, "),
    };
    if arguments.format == Format::Text {
        text.push_str(&summary(&rules));
    }
    io::stdout().write_all(text.as_bytes())?;
    let is_ok = rules.reports().all(|report| report.status == RuleStatus::Ok);
    Ok(if is_ok { ExitStatus::Ok } else { ExitStatus::Findings })
}

/// Runs the examples of a file's rule and adds what failed to its report. Returns how many there were.
fn test(file: &mut RuleFile) -> usize {
    let Some(rule) = &file.rule else { return 0 };
    let outcomes = run_examples(rule);
    if outcomes.is_empty() {
        let message = "the rule has no examples, so nothing was tested";
        let mut diagnostic = Diagnostic::new(Code::NoExamples, message, 1);
        diagnostic.help = Some("`[[tidewaiter.examples]]` tables in the file are its examples".to_owned());
        file.report.diagnostics.push(diagnostic);
    }
    for failed in outcomes.iter().filter(|outcome| !outcome.passed()) {
        file.report.status = RuleStatus::Error;
        file.report.diagnostics.push(example_failed(failed, &file.text));
    }
    outcomes.len()
}

fn example_failed(outcome: &ExampleOutcome, text: &str) -> Diagnostic {
    let wanted = match outcome.expect {
        Expectation::Match => "should match but does not",
        Expectation::NoMatch => "should not match but does",
    };
    let message = format!("the example `{}` {wanted}", Visible(&outcome.name));
    let line = line_of(text, |line| {
        line.trim_start().starts_with("name") && line.contains(&outcome.name)
    });
    Diagnostic::new(Code::ExampleFailed, message, line)
}

fn json(rules: &RuleFiles) -> String {
    let reports: Vec<&RuleReport> = rules.reports().collect();
    let mut text = serde_json::json!(reports).to_string();
    text.push('\n');
    text
}

fn diagnostics(rules: &RuleFiles) -> String {
    let mut text = String::new();
    for file in &rules.files {
        for diagnostic in &file.report.diagnostics {
            text.push_str(&diagnostic.render(&Visible(&file.report.path).to_string(), &file.text));
            text.push('\n');
        }
    }
    text
}

fn list(rules: &RuleFiles) -> String {
    let mut text = String::new();
    for file in &rules.files {
        let report = &file.report;
        let severity = file.rule.as_ref().map_or("-", |rule| rule.info.severity.as_str());
        let displayed = |field: &Option<String>| Visible(field.as_deref().unwrap_or("-")).to_string();
        // Writing to a `String` does not fail.
        let _ = writeln!(
            text,
            "{:<11}  {:<8}  {:<9}  {:<36}  {}  ({})",
            status_name(report.status),
            severity,
            displayed(&report.rule_type),
            displayed(&report.rule_id),
            displayed(&report.name),
            Visible(&report.path),
        );
    }
    text
}

fn status_name(status: RuleStatus) -> &'static str {
    match status {
        RuleStatus::Ok => "ok",
        RuleStatus::Unsupported => "unsupported",
        RuleStatus::Error => "error",
    }
}

fn summary(rules: &RuleFiles) -> String {
    let count = |status| rules.reports().filter(|report| report.status == status).count();
    format!(
        "{} rules: {} ok, {} unsupported, {} with errors\n",
        rules.files.len(),
        count(RuleStatus::Ok),
        count(RuleStatus::Unsupported),
        count(RuleStatus::Error),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    /// The stock rule about interactive shells with one of its texts replaced.
    fn stock_with(from: &str, to: &str) -> RuleFiles {
        let directory = tempfile::tempdir().unwrap();
        let stock = RuleFiles::stock();
        let is_wanted = |file: &&RuleFile| file.report.path == "stock/interactive_shell_in_container.toml";
        let file = stock.files.iter().find(is_wanted).unwrap();
        let path = directory.path().join("rule.toml");
        std::fs::write(&path, file.text.replace(from, to)).unwrap();
        let mut rules = RuleFiles::from_paths(&[path], &Config::default()).unwrap();
        rules.files[0].report.path = "rule.toml".to_owned();
        rules
    }

    #[test]
    fn an_unknown_field_is_displayed_in_its_line() {
        let rules = stock_with("process.interactive == true", "process.interactiv == true");
        expect![[r#"
            error[unknown-field]: unknown field `process.interactiv`
              --> rule.toml:39:5
               |
            39 |     process.interactiv == true or
               |     ^
               = help: did you mean `process.interactive`?

            1 rules: 0 ok, 0 unsupported, 1 with errors
        "#]]
        .assert_eq(&(diagnostics(&rules) + &summary(&rules)));
    }

    #[test]
    fn an_example_that_fails_is_an_error_of_its_rule() {
        let mut rules = stock_with("process.interactive == true", "process.interactive == false");
        let examples = test(&mut rules.files[0]);
        assert!(examples > 0);
        assert_eq!(rules.files[0].report.status, RuleStatus::Error);
        assert!(
            rules.files[0]
                .report
                .diagnostics
                .iter()
                .all(|diagnostic| diagnostic.code == Code::ExampleFailed)
        );
        assert!(
            rules.files[0]
                .report
                .diagnostics
                .iter()
                .all(|diagnostic| diagnostic.line > 1)
        );
    }

    #[test]
    fn the_json_form_is_an_array_of_reports() {
        let rules = stock_with("process.interactive == true", "process.interactiv == true");
        let parsed: serde_json::Value = serde_json::from_str(&json(&rules)).unwrap();
        assert_eq!(parsed[0]["path"], "rule.toml");
        assert_eq!(parsed[0]["type"], "eql");
        assert_eq!(parsed[0]["status"], "error");
        for key in ["code", "message", "line", "column"] {
            assert!(!parsed[0]["diagnostics"][0][key].is_null(), "{key}");
        }
    }
}
