//! EQL, the language of rules of type `eql`: text, tokens, syntax tree, checked tree.

use crate::condition::Detection;
use crate::diagnostic::{Code, Findings};
use crate::limits::MAX_QUERY_BYTES;

mod check;
mod lexer;
mod parser;
mod syntax;

/// Reads an event query or a sequence. What is wrong is noted in `findings`, in spans of `text`.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Detection> {
    if text.len() > MAX_QUERY_BYTES {
        findings.add(
            Default::default(),
            Code::QueryTooLong,
            format!("the query is longer than {MAX_QUERY_BYTES} bytes"),
        );
        return None;
    }
    let tokens = lexer::tokens(text, findings)?;
    let query = parser::parse(tokens, text.len(), findings)?;
    check::check(&query, findings)
}

#[cfg(test)]
mod tests;
