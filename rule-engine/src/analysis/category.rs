//! Which events a condition asks for, by their category.

use crate::condition::{Condition, Detection, FieldCondition, Test};
use crate::record::streams::Categories;
use crate::schema::fields;

/// Whether some event that the detection needs is of no category among these.
pub(crate) fn asks_for_others(detection: &Detection, categories: Categories) -> bool {
    let leaves_out = |condition| !asked_for(condition).overlaps(categories);
    match detection {
        Detection::Single { condition, .. } => leaves_out(condition),
        Detection::Sequence(sequence) => sequence.terms.iter().any(|term| leaves_out(&term.condition)),
    }
}

/// The category that an EQL query begins with; all if it is `any`, or none that ECS knows.
fn asked_for(condition: &Condition) -> Categories {
    let Condition::All(parts) = condition else {
        return Categories::ALL;
    };
    match parts.first() {
        Some(Condition::Field(FieldCondition {
            field,
            test: Test::TextIn(names, _),
        })) if field.field == fields::EVENT_CATEGORY => Categories::from_names(names.iter().map(String::as_str)),
        _ => Categories::ALL,
    }
}
