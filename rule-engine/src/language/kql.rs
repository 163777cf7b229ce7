//! KQL (Kibana's `kuery`), the language of rules of type `query`, `new_terms` and `threshold`: text, syntax tree,
//! checked tree.

use super::ParseOptions;
use crate::condition::Condition;
use crate::diagnostic::{Code, Findings, Span};
use crate::schema::FieldReference;
use crate::value::{Order, Pattern};

pub(crate) use syntax::Reading;

mod check;
mod parser;
mod syntax;

/// Reads a query. What is wrong is reported in `findings`, in spans of `text`.
pub(crate) fn parse(options: &ParseOptions, text: &str, findings: &mut Findings) -> Option<Condition> {
    super::check_length(options, text, findings)?;
    if text.trim().is_empty() {
        let message = "the query is empty, so it matches every event that the rule reads";
        findings.add(Default::default(), Code::MatchesEverything, message);
        return Some(Condition::Always);
    }
    let query = parser::parse(options, text, findings)?;
    check::check(options, &query, findings)
}

/// That the field is one of the values, compared as a query does, and of text fields as `reading` says; [`Condition::Never`] if no value fits the field.
pub(crate) fn is_any_of(field: &FieldReference, values: &[Pattern], reading: Reading) -> Condition {
    let literals: Vec<syntax::Literal> = values
        .iter()
        .map(|value| syntax::Literal {
            symbols: value.symbols().to_vec(),
            reading,
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
