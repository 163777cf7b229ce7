//! The parts that a text must have for a pattern to match it, as far as the pattern has fixed ones.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::language::Language;

/// Texts that are told apart at most.
const MAX_TEXTS: usize = 24;
/// A class of more characters than this is none in particular.
const MAX_CHARACTERS: usize = 4;
/// Characters that a part has at least to be worth a search, but for [`RARE`] ones.
const MIN_PART: usize = 3;
/// Characters that few texts have.
const RARE: &str = ":|<>;&$`(){}[]#!?*\\\"'~^@%";

/// Texts in lower case.
type Texts = BTreeSet<String>;

/// What is known of all texts that a pattern describes.
struct Described {
    /// All of them.
    all: Option<Texts>,
    /// Each has one of these in it.
    parts: Option<Texts>,
}

/// Parts of which each text has one that one of the patterns describes.
pub(super) fn of_all<'a>(languages: impl Iterator<Item = &'a Language>) -> Option<Vec<Box<str>>> {
    let parts: Option<Vec<Texts>> = languages.map(of_language).collect();
    let parts: Texts = parts?.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.into_iter().map(String::into_boxed_str).collect())
}

fn of_language(language: &Language) -> Option<Texts> {
    match language {
        Language::Plain(hir) => Described::by(hir).best(),
        Language::Concat(parts) | Language::Intersection(parts) => parts.iter().filter_map(of_language).reduce(better),
        Language::Union(parts) => union(parts.iter().map(of_language)),
        Language::Complement(_) => None,
        Language::Repeat { part, min, .. } => of_language(part).filter(|_| *min > 0),
    }
}

impl Described {
    const UNKNOWN: Described = Described { all: None, parts: None };

    fn exactly(texts: impl IntoIterator<Item = String>) -> Described {
        Described {
            all: Some(texts.into_iter().collect()),
            parts: None,
        }
    }

    fn by(hir: &Hir) -> Described {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Described::exactly([String::new()]),
            HirKind::Literal(literal) => match str::from_utf8(&literal.0) {
                Ok(text) => Described::exactly([text.to_ascii_lowercase()]),
                Err(_) => Described::UNKNOWN,
            },
            HirKind::Class(Class::Unicode(class)) => {
                let count: usize = class.iter().map(|range| range.len()).sum();
                if count == 0 || count > MAX_CHARACTERS {
                    return Described::UNKNOWN;
                }
                let characters = class.iter().flat_map(|range| range.start()..=range.end());
                Described::exactly(characters.map(|character| character.to_ascii_lowercase().to_string()))
            }
            HirKind::Class(Class::Bytes(_)) => Described::UNKNOWN,
            HirKind::Capture(capture) => Described::by(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min == 0 => Described::UNKNOWN,
            HirKind::Repetition(repetition) => Described {
                all: None,
                parts: Described::by(&repetition.sub).best(),
            },
            HirKind::Alternation(choices) => {
                let choices: Vec<Described> = choices.iter().map(Described::by).collect();
                let all: Option<Vec<&Texts>> = choices.iter().map(|choice| choice.all.as_ref()).collect();
                let all = all.map(|all| all.into_iter().flatten().cloned().collect::<Texts>());
                Described {
                    all: all.filter(|all| all.len() <= MAX_TEXTS),
                    parts: union(choices.into_iter().map(Described::best)),
                }
            }
            HirKind::Concat(parts) => Described::in_a_row(parts),
        }
    }

    fn in_a_row(parts: &[Hir]) -> Described {
        let mut row = Some(Texts::from([String::new()]));
        let (mut is_whole, mut best) = (true, None);
        let note = |best: &mut Option<Texts>, found: Option<Texts>| {
            *best = match (best.take(), found.filter(are_telling)) {
                (Some(one), Some(other)) => Some(better(one, other)),
                (one, other) => one.or(other),
            };
        };
        for part in parts {
            let described = Described::by(part);
            let before = row.take().unwrap_or_else(|| Texts::from([String::new()]));
            row = described.all.as_ref().and_then(|all| {
                let pairs = before
                    .iter()
                    .flat_map(|one| all.iter().map(move |other| format!("{one}{other}")));
                (before.len() * all.len() <= MAX_TEXTS).then(|| pairs.collect())
            });
            if row.is_none() {
                is_whole = false;
                note(&mut best, Some(before));
                // The row goes on with what is known exactly.
                row = described.all.clone();
                note(&mut best, described.parts);
            }
        }
        if is_whole {
            return Described { all: row, parts: best };
        }
        note(&mut best, row);
        Described { all: None, parts: best }
    }

    fn best(self) -> Option<Texts> {
        match (self.all.filter(are_telling), self.parts) {
            (Some(one), Some(other)) => Some(better(one, other)),
            (one, other) => one.or(other),
        }
    }
}

fn union(choices: impl Iterator<Item = Option<Texts>>) -> Option<Texts> {
    let choices: Option<Vec<Texts>> = choices.collect();
    let texts: Texts = choices?.into_iter().flatten().collect();
    (texts.len() <= MAX_TEXTS * 4 && are_telling(&texts)).then_some(texts)
}

/// Whether each is worth a search.
fn are_telling(texts: &Texts) -> bool {
    let is_rare = |text: &String| text.chars().any(|character| RARE.contains(character));
    !texts.is_empty() && texts.iter().all(|text| text.len() >= MIN_PART || is_rare(text))
}

/// Those of which the shortest is longer; among equally long ones the fewer.
fn better(one: Texts, other: Texts) -> Texts {
    let worth = |texts: &Texts| {
        let shortest = texts.iter().map(String::len).min().unwrap_or(0);
        (shortest.min(2 * MIN_PART), std::cmp::Reverse(texts.len()))
    };
    if worth(&other) > worth(&one) { other } else { one }
}
