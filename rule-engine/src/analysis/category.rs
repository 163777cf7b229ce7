//! Which events a condition asks for, by their category.

use crate::condition::{Condition, FieldCondition, Test};
use crate::record::streams::Categories;
use crate::schema::fields;

/// The category that an EQL query begins with; all if it is `any`, or none that ECS knows.
pub(crate) fn asked_for(condition: &Condition) -> Categories {
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
