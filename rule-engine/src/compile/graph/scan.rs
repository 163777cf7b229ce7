//! One look at the values of a field for all tests of it, where an event has very many of them.
//!
//! Without it ten thousand arguments would cost as much as there are tests of arguments. Each value is looked up among
//! the literals of all tests, and tried only on the tests with one that it has, so the costs are those of the bytes.
//! Decides exactly as the tests one by one. A test without literals (`regex`, `*`) is not among them.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::scratch::Scratch;
use crate::condition::{Condition, FieldCondition, Test};
use crate::record::{Record, Value};
use crate::schema::{FieldId, FieldType, Schema};
use crate::value::hash::LookupMap;
use crate::value::{Case, Pattern, Symbol};

/// From so many values on, looking once for all is cheaper.
pub(super) const MANY_VALUES: usize = 64;

/// The tests of a field.
#[derive(Debug)]
pub(super) struct FieldScan {
    field: FieldId,
    nodes: Box<[usize]>,
    /// Of each whole text, in lower case, the tests that want it.
    texts: LookupMap<Box<[u8]>, Box<[usize]>>,
    longest_text: usize,
    parts: AhoCorasick,
    shortest_part: usize,
    /// For each part the tests that need it.
    of_parts: Box<[Box<[usize]>]>,
}

/// What a value must have for a test to pass.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Literal {
    Whole(Box<[u8]>),
    Part(Box<[u8]>),
}

pub(super) fn are_many(values: usize) -> bool {
    values >= MANY_VALUES
}

impl FieldScan {
    /// One for each field that events carry as a list and whose tests have literals.
    pub(super) fn all<'a>(conditions: impl Iterator<Item = (&'a Condition, usize)>, schema: &Schema) -> Vec<FieldScan> {
        let mut fields: BTreeMap<FieldId, BTreeMap<Literal, Vec<usize>>> = BTreeMap::new();
        for (condition, node) in conditions {
            let Condition::Field(condition) = condition else {
                continue;
            };
            let field = condition.field.field;
            let is_text = matches!(schema.field_type(field), FieldType::Keyword | FieldType::Text);
            let Some(literals) = literals(condition).filter(|_| is_text && schema.is_array(field)) else {
                continue;
            };
            for literal in literals {
                let tests = fields.entry(field).or_default().entry(literal).or_default();
                if !tests.contains(&node) {
                    tests.push(node);
                }
            }
        }
        let scans = fields.into_iter();
        scans
            .filter_map(|(field, literals)| FieldScan::new(field, literals))
            .collect()
    }

    fn new(field: FieldId, literals: BTreeMap<Literal, Vec<usize>>) -> Option<FieldScan> {
        let mut nodes: Vec<usize> = literals.values().flatten().copied().collect();
        nodes.sort_unstable();
        nodes.dedup();
        let (mut texts, mut parts, mut of_parts) = (LookupMap::default(), Vec::new(), Vec::new());
        for (literal, tests) in literals {
            match literal {
                Literal::Whole(text) => {
                    texts.insert(text, tests.into());
                }
                Literal::Part(part) => {
                    parts.push(part);
                    of_parts.push(tests.into());
                }
            }
        }
        Some(FieldScan {
            field,
            nodes: nodes.into(),
            longest_text: texts.keys().map(|text| text.len()).max().unwrap_or(0),
            texts,
            shortest_part: parts.iter().map(|part| part.len()).min().unwrap_or(usize::MAX),
            // Fails only for more bytes than rules may have; then the tests look for themselves.
            parts: AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(parts)
                .ok()?,
            of_parts: of_parts.into(),
        })
    }

    pub(super) fn nodes(&self) -> &[usize] {
        &self.nodes
    }

    pub(super) fn is_of(&self, field: FieldId) -> bool {
        self.field == field
    }

    /// Decides all tests of the field on the event; `passes` tries one of them on a value.
    pub(super) fn run(&self, record: &Record, scratch: &Scratch, passes: &dyn Fn(usize, Value<'_>) -> bool) {
        for node in &self.nodes {
            scratch.note(*node, false);
            scratch.tried[*node].set(0);
        }
        for (value, number) in record.tested_values(self.field).zip(1..) {
            let Value::Text(text) = value else { continue };
            if text.len() > self.longest_text && text.len() < self.shortest_part {
                continue;
            }
            // Each test at most once on each value, and only until it passes.
            let try_on = |tests: Option<&[usize]>| {
                for node in tests.into_iter().flatten() {
                    #[cfg(test)]
                    crate::value::steps::add(1);
                    let holds = scratch.results[*node].get() & 1 == 1;
                    if !holds && scratch.tried[*node].replace(number) != number && passes(*node, value) {
                        scratch.note(*node, true);
                    }
                }
            };
            scratch.scanned.folded(text, Case::Insensitive, |folded| {
                let wanted = (folded.len() <= self.longest_text).then(|| self.texts.get(folded));
                try_on(wanted.flatten().map(AsRef::as_ref));
                if folded.len() < self.shortest_part {
                    return;
                }
                for found in self.parts.find_overlapping_iter(folded) {
                    let tests = self.of_parts.get(found.pattern().as_usize());
                    try_on(tests.map(AsRef::as_ref));
                }
            });
        }
    }
}

/// For each way to pass the test a literal that the value must have; `None` if there is a way without.
fn literals(condition: &FieldCondition) -> Option<Vec<Literal>> {
    let whole = |text: &str| Literal::Whole(text.to_ascii_lowercase().into_bytes().into());
    match &condition.test {
        Test::TextIn(texts, _) => Some(texts.iter().map(|text| whole(text)).collect()),
        Test::Like(patterns, _) => {
            let literal = |pattern: &Pattern| match pattern.exact_text() {
                Some(text) => Some(whole(&text)),
                None => longest_part(pattern).map(Literal::Part),
            };
            patterns.iter().map(literal).collect()
        }
        _ => None,
    }
}

fn longest_part(pattern: &Pattern) -> Option<Box<[u8]>> {
    let character = |symbol: &Symbol| match symbol {
        Symbol::Character(character) => Some(*character),
        Symbol::AnyCharacter | Symbol::AnyRun => None,
    };
    let parts = pattern.symbols().split(|symbol| character(symbol).is_none());
    let texts = parts.map(|symbols| symbols.iter().filter_map(character).collect::<String>());
    let longest = texts.filter(|text| !text.is_empty()).max_by_key(String::len)?;
    Some(longest.to_ascii_lowercase().into_bytes().into())
}
