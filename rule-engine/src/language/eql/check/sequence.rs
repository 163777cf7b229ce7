//! Sequences: each term is an event query, and all have the same number of keys.

use super::super::syntax::{self, Expression, ExpressionKind, Occurrence, Presence};
use super::checker::Checker;
use crate::analysis::satisfiable;
use crate::condition::{KeyField, MissingKey, Sequence, SequenceTerm};
use crate::diagnostic::Code;
use crate::schema::FieldReference;

impl Checker<'_> {
    pub(super) fn sequence(&mut self, query: &syntax::SequenceQuery) -> Option<Sequence> {
        let by = self.keys(&query.by);
        let terms: Vec<_> = query
            .terms
            .iter()
            .map(|term| {
                let what = match term.occurrence {
                    Occurrence::Present(_) => "the rule",
                    Occurrence::Missing => "the missing event",
                };
                self.sequence_term(by.as_deref(), term, what)
            })
            .collect();
        let until = query
            .until
            .as_ref()
            .map(|until| self.sequence_term(by.as_deref(), until, "the event behind `until`"));
        let terms: Vec<SequenceTerm> = terms.into_iter().collect::<Option<_>>()?;
        let until = match until {
            Some(until) => Some(until?),
            None => None,
        };
        let keys = terms.first().map_or(0, |term| term.keys.len());
        if terms.iter().chain(&until).any(|term| term.keys.len() != keys) {
            return self.error(
                query.span,
                Code::SequenceKeys,
                "the events of a sequence have different numbers of keys",
            );
        }
        let mut stages = Vec::new();
        let mut missing = vec![Vec::new()];
        for (index, term) in query.terms.iter().enumerate() {
            match term.occurrence {
                Occurrence::Missing => missing[stages.len()].push(index),
                Occurrence::Present(runs) => {
                    stages.extend(std::iter::repeat_n(index, runs));
                    missing.resize(stages.len() + 1, Vec::new());
                }
            }
        }
        Some(Sequence {
            terms,
            stages,
            missing,
            until,
            max_span_ns: query.max_span_ns,
        })
    }

    /// `what` can never match if the term's event cannot.
    fn sequence_term(
        &mut self,
        by: Option<&[KeyField]>,
        term: &syntax::TermSyntax,
        what: &str,
    ) -> Option<SequenceTerm> {
        let event = self.event(&term.event);
        let condition = event.map(|event| {
            event.satisfiability.warn(what, self.findings);
            event.condition
        });
        let own = self.keys(&term.by);
        let keys = [by?, &own?].concat();
        Some(SequenceTerm {
            condition: condition?,
            keys,
        })
    }

    fn keys(&mut self, keys: &[Expression]) -> Option<Vec<KeyField>> {
        let checked: Vec<_> = keys.iter().map(|key| self.sequence_key(key)).collect();
        checked.into_iter().collect()
    }

    fn sequence_key(&mut self, key: &Expression) -> Option<KeyField> {
        let ExpressionKind::Field { name, presence } = &key.kind else {
            return None;
        };
        let missing = match presence {
            Presence::Required => MissingKey::Excludes,
            Presence::Optional => MissingKey::Joins,
        };
        let schema = self.options.schema();
        let field = match presence {
            Presence::Optional if FieldReference::resolve(schema, name).is_none() => {
                FieldReference::undeclared(schema, name)
            }
            _ => FieldReference::check(schema, name, key.span, self.findings)?,
        };
        if missing == MissingKey::Excludes {
            satisfiable::warn_of_missing(self.options.producer(), &field, key.span, self.findings);
        }
        Some(KeyField { field, missing })
    }
}
