//! KQL (Kibana's `kuery`), the language of rules of type `query`, `new_terms` and `threshold`: text, syntax tree,
//! checked tree.

use crate::condition::Condition;
use crate::diagnostic::{Code, Findings, Span};
use crate::limits::MAX_QUERY_BYTES;
use crate::schema::FieldReference;
use crate::value::{Order, Pattern};

mod check;
mod parser;
mod syntax;

/// Reads a query. What is wrong is noted in `findings`, in spans of `text`.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Condition> {
    if text.len() > MAX_QUERY_BYTES {
        findings.add(
            Default::default(),
            Code::QueryTooLong,
            format!("the query is longer than {MAX_QUERY_BYTES} bytes"),
        );
        return None;
    }
    if text.trim().is_empty() {
        let message = "the query is empty, so it matches every event that the rule reads";
        findings.add(Default::default(), Code::MatchesEverything, message);
        return Some(Condition::Always);
    }
    let query = parser::parse(text, findings)?;
    check::check(&query, findings)
}

/// That the field is one of the values, compared as a query does; [`Condition::Never`] if no value fits the field.
pub(crate) fn is_any_of(field: &FieldReference, values: &[Pattern]) -> Condition {
    let literals: Vec<syntax::Literal> = values
        .iter()
        .map(|value| syntax::Literal {
            symbols: value.symbols().to_vec(),
            span: Span::default(),
        })
        .collect();
    check::is(field, &literals)
}

/// That a value of the field is in this order to `text`, compared as a query does; [`Condition::Never`] if the field
/// does not hold such values.
pub(crate) fn in_order(field: &FieldReference, order: Order, text: String) -> Condition {
    check::in_order(field, order, text)
}

#[cfg(test)]
mod tests;
