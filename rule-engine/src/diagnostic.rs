//! What is wrong with a rule file, at which place, and what helps.
//!
//! Every stage that reads a rule reports what it finds in [`Findings`], as byte spans of the text it reads; the rule
//! file turns them into [`Diagnostic`]s, whose positions always count in the file, also for an error inside a query.

use std::fmt::Write as _;

use serde::Serialize;

mod code;

pub use code::Code;

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// Whether the rule runs all the same.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line of the file, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

/// How bad a finding is.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule does not run.
    Error,
    /// The rule runs, but perhaps not as meant.
    Warning,
}

/// How many findings of one file are kept; the rest is counted.
pub(crate) const MAX_FINDINGS: usize = 50;
/// Characters of a line that are displayed on each side of the place.
const CONTEXT: usize = 60;

impl Diagnostic {
    /// A finding at the beginning of a line, with the severity and the help of its code.
    pub fn new(code: Code, message: impl Into<String>, line: u32) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            help: code.help().map(str::to_owned),
            line,
            column: 1,
        }
    }

    /// For a person: the message, the place, the line with a caret below it and the help.
    pub fn render(&self, path: &str, text: &str) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut out = format!("{severity}[{}]: {}\n", self.code, self.message);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let _ = writeln!(out, "{margin}--> {path}:{}:{}", self.line, self.column);
        if let Some(line) = text.lines().nth(self.line as usize - 1) {
            let at = self.column as usize - 1;
            let first = at.saturating_sub(CONTEXT);
            let part = |from, count| -> String { line.chars().skip(from).take(count).map(printable).collect() };
            let before = part(first, at - first);
            let after = part(at, CONTEXT);
            let caret = " ".repeat(before.chars().count());
            let _ = writeln!(out, "{margin} |\n{number} | {before}{after}\n{margin} | {caret}^");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{margin} = help: {help}");
        }
        out
    }
}

fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

/// A place in a text, in bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// From the start of the one to the end of the other.
    pub(crate) fn to(self, last: Span) -> Span {
        Span {
            start: self.start,
            end: last.end,
        }
    }
}

/// A finding whose place is not yet one of the file.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
    pub span: Span,
}

/// The findings of one text, at most [`MAX_FINDINGS`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub list: Vec<Finding>,
    pub left_out: usize,
    /// Whether there is an error, also among those left out.
    has_errors: bool,
}

impl Findings {
    pub(crate) fn add(&mut self, span: Span, code: Code, message: impl Into<String>) -> FindingHelp<'_> {
        self.push(Finding {
            code,
            message: message.into(),
            help: None,
            span,
        })
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Whether further findings are only counted; making them is then wasted work.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_FINDINGS
    }

    /// Takes in the findings of a part of the text, at other places.
    pub(crate) fn absorb(&mut self, part: Findings, place: impl Fn(Span) -> Span) {
        self.left_out += part.left_out;
        self.has_errors |= part.has_errors;
        for mut finding in part.list {
            finding.span = place(finding.span);
            self.push(finding);
        }
    }

    fn push(&mut self, finding: Finding) -> FindingHelp<'_> {
        self.has_errors |= finding.code.severity() == Severity::Error;
        if self.is_full() {
            self.left_out += 1;
            return FindingHelp(None);
        }
        self.list.push(finding);
        FindingHelp(self.list.last_mut())
    }
}

/// Lets a help line be added to the finding just made.
pub(crate) struct FindingHelp<'a>(Option<&'a mut Finding>);

impl FindingHelp<'_> {
    pub(crate) fn help(self, help: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.help = Some(help.into());
        }
    }
}

/// Turns byte offsets of a text into lines and columns.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Lines<'a> {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Lines { text, starts }
    }

    /// Line and column, from 1, of a byte offset; an offset past the end is the end.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset);
        let column = self.text[self.starts[line - 1]..offset].chars().count() + 1;
        (line as u32, column as u32)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let lines = Lines::new("a\nbä°c\n");
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(lines.position(2), (2, 1));
        assert_eq!(lines.position(7), (2, 4));
        assert_eq!(lines.position(9), (3, 1));
        assert_eq!(lines.position(1_000), (3, 1));
    }

    #[test]
    fn a_diagnostic_shows_the_line_with_a_caret_and_no_control_characters() {
        let diagnostic = Diagnostic {
            help: Some("did you mean `process.name`?".to_owned()),
            column: 3,
            ..Diagnostic::new(Code::UnknownField, "unknown field `process.nam`", 2)
        };
        expect![[r#"
            error[unknown-field]: unknown field `process.nam`
             --> rules/a.toml:2:3
              |
            2 |  �process.nam == "x"
              |   ^
              = help: did you mean `process.name`?
        "#]]
        .assert_eq(&diagnostic.render("rules/a.toml", "first\n\t\u{1b}process.nam == \"x\"\n"));
    }

    #[test]
    fn findings_past_the_limit_are_counted() {
        let mut findings = Findings::default();
        for _ in 0..MAX_FINDINGS + 2 {
            findings.add(Span::default(), Code::Syntax, "message").help("help");
        }
        assert_eq!((findings.list.len(), findings.left_out), (MAX_FINDINGS, 2));
    }
}
