//! Whether a rule costs much: what `rules check` warns of.
//!
//! A rule is cheap if something in its condition rules out most events ([`Prerequisite`]). What is costly is a search
//! of every event: patterns that begin with a wildcard and regular expressions without a fixed part.

use crate::analysis::prerequisite::{KeyCounts, Need, Prerequisite, RequiredValues};
use crate::condition::{Condition, Test};
use crate::schema::{FieldId, Schema};
use crate::value::{Pattern, Symbol};

/// Nearly all events agree on these fields, so a test of one narrows nothing down.
const COMMON: [&str; 3] = ["event.", "host.", "agent."];
/// The shortest literal worth searching for, in characters.
const MIN_PART: usize = 3;
/// More patterns with wildcards than this in one list are costly.
const MANY_PATTERNS: usize = 1_000;

/// What makes the condition costly.
pub(crate) fn of_condition(schema: &Schema, condition: &Condition) -> Option<String> {
    if let Some((field, patterns)) = find(condition, &many_patterns) {
        return Some(format!("`{}` is compared with {patterns} patterns", schema.name(field)));
    }
    if narrows_down(schema, condition) {
        return None;
    }
    let (field, what) = find(condition, &search)?;
    Some(format!("every event's `{}` is searched for {what}", schema.name(field)))
}

fn narrows_down(schema: &Schema, condition: &Condition) -> bool {
    let rules_out = |(need, values): (&Need, &RequiredValues)| {
        let is_common = COMMON.iter().any(|prefix| schema.name(need.field).starts_with(prefix));
        !is_common && matches!(values, RequiredValues::Keys(_))
    };
    let prerequisite = Prerequisite::of(condition, &KeyCounts::default());
    prerequisite
        .alternatives()
        .iter()
        .all(|needs| needs.iter().any(rules_out))
}

/// The first test that `inspect` has something to say about.
fn find<T>(condition: &Condition, inspect: &dyn Fn(&Test) -> Option<T>) -> Option<(FieldId, T)> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(|part| find(part, inspect)),
        Condition::Not(part) => find(part, inspect),
        Condition::Field(tested) => inspect(&tested.test).map(|found| (tested.field.field, found)),
        Condition::Always | Condition::Never | Condition::Computed(_) => None,
    }
}

fn many_patterns(test: &Test) -> Option<usize> {
    let Test::Like(patterns, _) = test else {
        return None;
    };
    let with_wildcards = patterns.iter().filter(|pattern| pattern.exact_text().is_none()).count();
    (with_wildcards > MANY_PATTERNS).then_some(with_wildcards)
}

fn begins_open(pattern: &Pattern) -> bool {
    let begins_open = matches!(pattern.symbols(), [Symbol::AnyRun | Symbol::AnyCharacter, ..]);
    begins_open
        && pattern
            .symbols()
            .iter()
            .any(|symbol| matches!(symbol, Symbol::Character(_)))
}

/// Whether the pattern has a literal long enough to be rare.
fn has_part(pattern: &Pattern) -> bool {
    let is_character = |symbol: &Symbol| matches!(symbol, Symbol::Character(_));
    pattern
        .symbols()
        .windows(MIN_PART)
        .any(|symbols| symbols.iter().all(is_character))
}

/// What the test has to search every value for.
fn search(test: &Test) -> Option<&'static str> {
    match test {
        Test::Like(patterns, _) => patterns
            .iter()
            .any(|pattern| begins_open(pattern) && !has_part(pattern))
            .then_some("a pattern that begins with a wildcard and has no longer part"),
        Test::Regex(regex) => (!regex.has_literal()).then_some("a regular expression without a fixed part"),
        Test::Phrase(_) | Test::AnyWord(_) => Some("words"),
        Test::Exists
        | Test::TextIn(..)
        | Test::Within(_)
        | Test::AddressOrder(..)
        | Test::TextOrder(..)
        | Test::NumberIn(_)
        | Test::NumberOrder(..)
        | Test::Boolean(_)
        | Test::DateIn(_)
        | Test::DateOrder(..) => None,
    }
}
