//! EQL, the language of rules of type `eql`: text, tokens, syntax tree, checked tree.

use super::ParseOptions;
use crate::condition::Detection;
use crate::diagnostic::Findings;

mod check;
mod lexer;
mod parser;
mod syntax;

/// Reads an event query or a sequence. What is wrong is reported in `findings`, in spans of `text`.
pub(crate) fn parse(options: &ParseOptions, text: &str, findings: &mut Findings) -> Option<Detection> {
    super::check_length(options, text, findings)?;
    let tokens = lexer::tokens(text, findings)?;
    let query = parser::parse(options, tokens, text.len(), findings)?;
    check::check(options, &query, findings)
}

#[cfg(test)]
mod tests;
