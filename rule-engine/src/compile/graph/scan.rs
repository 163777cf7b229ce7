//! One look at the values of a field for all tests of it, where an event has very many of them.
//!
//! Without it ten thousand arguments would cost as much as there are tests of arguments. Each value is looked up among
//! the literals of all tests, and tried only on the tests with one that it has, so the costs are those of the bytes.
//! Decides exactly as the tests one by one. A test without literals (`regex`, `*`) is not among them.

use std::cell::Cell;
use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::{Evaluation, Node, NodeId};
use crate::condition::{Condition, FieldCondition, Test};
use crate::record::{Record, Value};
use crate::schema::{FieldId, FieldType, Schema};
use crate::value::hash::LookupMap;
use crate::value::{Case, Pattern, Symbol};

/// From so many values on, looking once for all is cheaper.
const MANY_VALUES: usize = 64;

/// The tests of a field.
#[derive(Debug)]
pub(super) struct FieldScan {
    field: FieldId,
    nodes: Box<[NodeId]>,
    /// Of each whole text, in lower case, the tests that want it.
    texts: LookupMap<Box<[u8]>, Box<[NodeId]>>,
    longest_text: usize,
    parts: AhoCorasick,
    shortest_part: usize,
    /// For each part the tests that need it.
    of_parts: Box<[Box<[NodeId]>]>,
}

/// What a value must have for a test to pass.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Literal {
    Whole(Box<[u8]>),
    Part(Box<[u8]>),
}

pub(super) fn has_many(record: &Record, field: FieldId) -> bool {
    record.count(field) >= MANY_VALUES
}

impl FieldScan {
    /// One for each field that events carry as a list and whose tests have literals.
    pub(super) fn all<'a>(
        conditions: impl Iterator<Item = (&'a Condition, &'a NodeId)>,
        schema: &Schema,
    ) -> Vec<FieldScan> {
        let mut fields: BTreeMap<FieldId, BTreeMap<Literal, Vec<NodeId>>> = BTreeMap::new();
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
                if !tests.contains(node) {
                    tests.push(*node);
                }
            }
        }
        let scans = fields.into_iter();
        scans
            .filter_map(|(field, literals)| FieldScan::new(field, literals))
            .collect()
    }

    fn new(field: FieldId, literals: BTreeMap<Literal, Vec<NodeId>>) -> Option<FieldScan> {
        let mut nodes: Vec<NodeId> = literals.values().flatten().copied().collect();
        nodes.sort_unstable_by_key(|node| node.0);
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

    pub(super) fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    pub(super) fn is_of(&self, field: FieldId) -> bool {
        self.field == field
    }

    /// Decides all tests of the field on the event.
    pub(super) fn run(&self, event: &Evaluation<'_>) {
        let scratch = event.scratch;
        for node in &self.nodes {
            scratch.note(node.0 as usize, false);
            scratch.tried[node.0 as usize].set(0);
        }
        for (value, number) in event.record.values(self.field).zip(1..) {
            let Value::Text(text) = value else { continue };
            if text.len() > self.longest_text && text.len() < self.shortest_part {
                continue;
            }
            scratch.scanned.folded(text, Case::Insensitive, |folded| {
                let wanted = (folded.len() <= self.longest_text).then(|| self.texts.get(folded));
                try_on(event, wanted.flatten().map(AsRef::as_ref), value, number);
                if folded.len() < self.shortest_part {
                    return;
                }
                for found in self.parts.find_overlapping_iter(folded) {
                    let tests = self.of_parts.get(found.pattern().as_usize());
                    try_on(event, tests.map(AsRef::as_ref), value, number);
                }
            });
        }
    }
}

/// Tries the tests on a value, each at most once on each and only until it passes.
fn try_on(event: &Evaluation<'_>, tests: Option<&[NodeId]>, value: Value<'_>, number: u32) {
    let scratch = event.scratch;
    for node in tests.into_iter().flatten() {
        let at = node.0 as usize;
        let (result, tried): (&Cell<u64>, &Cell<u32>) = (&scratch.results[at], &scratch.tried[at]);
        if result.get() & 1 == 1 || tried.replace(number) == number {
            continue;
        }
        if let Node::Field(matcher) = event.node(*node)
            && matcher.passes(value, &scratch.folded)
        {
            scratch.note(at, true);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compile::graph::{CompiledCondition, GraphBuilder};
    use crate::schema::{FieldReference, fields};

    fn condition() -> impl Strategy<Value = FieldCondition> {
        let case = || prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive)];
        let texts = prop::collection::vec("[aAbBé]{0,3}", 0..4);
        let patterns = prop::collection::vec("[aAbé*?]{0,6}", 1..4);
        let like = |patterns: Vec<String>| patterns.iter().map(|text| Pattern::from_like(text)).collect();
        let test = prop_oneof![
            (texts, case()).prop_map(|(texts, case)| Test::TextIn(texts, case)),
            (patterns, case()).prop_map(move |(patterns, case)| Test::Like(like(patterns), case)),
        ];
        let field = FieldReference::resolve(&Schema::ecs(), "process.args").expect("a known field");
        test.prop_map(move |test| FieldCondition {
            field: field.clone(),
            test,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn looking_once_for_all_decides_as_each_test_by_itself(
            conditions in prop::collection::vec(condition(), 1..8),
            values in prop::collection::vec("[aAbBé]{0,5}", MANY_VALUES - 2..MANY_VALUES + 8),
            rare in prop::collection::vec("[x]{0,2}", MANY_VALUES),
            is_rare in any::<bool>(),
        ) {
            let values = if is_rare { [rare, vec![values[0].clone()]].concat() } else { values };
            let mut record = Record::new();
            values.iter().for_each(|value| {
                record.text(fields::PROCESS_ARGS, value);
            });
            let mut builder = GraphBuilder::default();
            let nodes: Vec<NodeId> = conditions
                .iter()
                .map(|condition| builder.add(&Condition::Field(condition.clone())))
                .collect();
            let graph = builder.finish(&Schema::ecs());
            let mut scratch = graph.scratch();
            let event = Evaluation::new(&record, &graph, &mut scratch);
            for (condition, node) in conditions.into_iter().zip(nodes) {
                let mut one = Record::new();
                let mut alone = CompiledCondition::compile(&Condition::Field(condition.clone()));
                let expected = values.iter().any(|value| {
                    one.clear();
                    one.text(fields::PROCESS_ARGS, value);
                    alone.matches(&one)
                });
                prop_assert_eq!(node.matches(&event), expected, "{:?}", condition);
            }
        }
    }
}
