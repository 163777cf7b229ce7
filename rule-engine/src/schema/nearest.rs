//! What a mistyped name was meant to be.

/// Longest name for which a nearest one is looked for.
const MAX_SUGGESTED_NAME: usize = 100;

/// The known name with the fewest edits to `name`, if that is few for its length, without regard to case.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_SUGGESTED_NAME {
        return None;
    }
    let most = (name.len() / 4).clamp(1, 4);
    let lower = name.to_ascii_lowercase();
    known
        .filter(|known| known.len().abs_diff(name.len()) <= most)
        .map(|known| (strsim::osa_distance(&lower, &known.to_ascii_lowercase()), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, nearest)| nearest)
}
