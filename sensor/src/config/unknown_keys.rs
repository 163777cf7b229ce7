//! Unknown keys, and what was probably meant.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// The default configuration with its comments: what `tidewaiter config` prints. It states every key.
pub(crate) const DEFAULT_TOML: &str = include_str!("default.toml");

/// Keys that the default configuration, which states every key, does not have.
pub(crate) fn unknown_keys(text: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let Ok(known) = DeTable::parse(DEFAULT_TOML) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    collect_unknown_keys(text, table, known.get_ref(), &mut problems);
    problems
}

fn collect_unknown_keys(text: &str, table: &DeTable<'_>, known: &DeTable<'_>, problems: &mut Vec<Problem>) {
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        match (known.get(name).map(Spanned::get_ref), value.get_ref()) {
            (None, _) => problems.push(Problem {
                help: nearest(name, known.keys().map(|key| key.get_ref().as_ref()))
                    .map(|nearest| format!("did you mean `{nearest}`?")),
                ..Problem::at(text, key.span().start, &format!("unknown key `{name}`"))
            }),
            // One that is empty by default takes names that its writer chooses.
            (Some(DeValue::Table(known)), DeValue::Table(table)) if !known.is_empty() => {
                collect_unknown_keys(text, table, known, problems);
            }
            (Some(_), _) => {}
        }
    }
}

/// The candidate that takes the fewest edits to reach, if a typing error could explain them.
pub(super) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::levenshtein(typed, candidate), candidate))
        .min()
        .filter(|&(distance, candidate)| distance <= candidate.len().div_ceil(3))
        .map(|(_, candidate)| candidate)
}
