//! The query languages: text becomes a [`Condition`](crate::condition::Condition) whose fields exist and whose literals
//! fit them.

pub(crate) mod eql;
pub(crate) mod kql;
mod options;
pub(crate) mod query_dsl;

pub use options::ParseOptions;

use crate::diagnostic::{Code, Findings, Span};

/// Reports a query that is too long to be read.
fn check_length(options: &ParseOptions, query: &str, findings: &mut Findings) -> Option<()> {
    let most = options.limits().query_bytes;
    if query.len() > most {
        let message = format!("the query is longer than {most} bytes");
        findings.add(Span::default(), Code::QueryTooLong, message);
        return None;
    }
    Some(())
}

/// A pattern with wildcards, wherever it stands, may be so long.
pub(crate) fn check_pattern_length(
    options: &ParseOptions,
    pattern: &str,
    span: Span,
    findings: &mut Findings,
) -> Option<()> {
    let most = options.limits().pattern_bytes;
    if pattern.len() > most {
        let message = format!("the pattern is longer than {most} bytes");
        findings.add(span, Code::PatternTooLong, message);
        return None;
    }
    Some(())
}
