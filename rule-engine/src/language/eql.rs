//! EQL, the language of rules of type `eql`: text, tokens, syntax tree, checked tree.

use super::ParseOptions;
use crate::condition::Detection;
use crate::diagnostic::Findings;
use crate::schema::FieldReference;

mod check;
mod lexer;
mod parser;
mod syntax;

/// Reads an event query or a sequence, in which `category` is what stands before `where` is compared with. What is wrong
/// is reported in `findings`, in spans of `text`.
pub(crate) fn parse(
    options: &ParseOptions,
    category: &FieldReference,
    text: &str,
    findings: &mut Findings,
) -> Option<Detection> {
    super::check_length(options, text, findings)?;
    let tokens = lexer::tokens(text, findings)?;
    let query = parser::parse(options, tokens, text.len(), findings)?;
    check::check(options, category, &query, findings)
}

#[cfg(test)]
mod tests;
