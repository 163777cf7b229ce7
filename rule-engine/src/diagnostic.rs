//! What is wrong with a rule file, at which place, and what helps.
//!
//! Made by every stage that reads a rule; positions always count in the file, also for an error inside a query.

use serde::Serialize;

/// One finding. `code` is stable; `line` and `column` count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    pub code: &'static str,
    pub severity: Severity,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    pub line: u32,
    pub column: u32,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule does not run.
    Error,
    /// The rule runs, but perhaps not as meant.
    Warning,
}
