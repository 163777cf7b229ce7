use proptest::prelude::*;

use super::*;
use crate::condition::{FieldCondition, Test};
use crate::schema::{FieldReference, fields};
use crate::value::{Case, Pattern};

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
        values in prop::collection::vec("[aAbBé]{0,5}", scan::MANY_VALUES - 2..scan::MANY_VALUES + 8),
        rare in prop::collection::vec("[x]{0,2}", scan::MANY_VALUES),
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
