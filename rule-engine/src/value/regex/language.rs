//! What a pattern describes: a regular expression in the usual sense, as long as no operator of Lucene's stands in it.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

/// Combinations of [`Language::Plain`] are plain again, so that only what has to be is none.
#[derive(Clone, Debug)]
pub(super) enum Language {
    Plain(Hir),
    Concat(Vec<Language>),
    Union(Vec<Language>),
    Intersection(Vec<Language>),
    Complement(Box<Language>),
    Repeat {
        part: Box<Language>,
        min: u32,
        max: Option<u32>,
    },
}

impl Language {
    pub(super) fn concat(parts: Vec<Language>) -> Language {
        combine(parts, Hir::concat, Language::Concat)
    }

    pub(super) fn union(parts: Vec<Language>) -> Language {
        combine(parts, Hir::alternation, Language::Union)
    }

    pub(super) fn intersection(mut parts: Vec<Language>) -> Language {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        Language::Intersection(parts)
    }

    pub(super) fn repeat(part: Language, min: u32, max: Option<u32>) -> Language {
        match part {
            Language::Plain(hir) => Language::Plain(repeat(hir, min, max)),
            other => Language::Repeat {
                part: Box::new(other),
                min,
                max,
            },
        }
    }

    pub(super) fn has_literal(&self) -> bool {
        match self {
            Language::Plain(hir) => has_literal(hir),
            Language::Concat(parts) | Language::Intersection(parts) => parts.iter().any(Language::has_literal),
            Language::Union(parts) => parts.iter().all(Language::has_literal),
            Language::Complement(_) => false,
            Language::Repeat { part, min, .. } => *min > 0 && part.has_literal(),
        }
    }
}

fn combine(parts: Vec<Language>, plain: fn(Vec<Hir>) -> Hir, mixed: fn(Vec<Language>) -> Language) -> Language {
    let hirs: Option<Vec<Hir>> = parts
        .iter()
        .map(|part| match part {
            Language::Plain(hir) => Some(hir.clone()),
            _ => None,
        })
        .collect();
    match hirs {
        Some(hirs) => Language::Plain(plain(hirs)),
        None => mixed(parts),
    }
}

/// Characters of a literal below which looking for it narrows nothing down.
const MIN_LITERAL: usize = 2;

fn has_literal(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => literal.0.len() >= MIN_LITERAL,
        HirKind::Concat(parts) => {
            // Letters of which case does not count are classes of two.
            let small = |hir: &Hir| match hir.kind() {
                HirKind::Class(Class::Unicode(class)) => class.iter().map(|range| range.len()).sum::<usize>() <= 2,
                HirKind::Literal(_) => true,
                _ => false,
            };
            parts.iter().any(has_literal) || parts.windows(MIN_LITERAL).any(|parts| parts.iter().all(small))
        }
        HirKind::Alternation(parts) => parts.iter().all(has_literal),
        HirKind::Repetition(repetition) => repetition.min > 0 && has_literal(&repetition.sub),
        HirKind::Capture(capture) => has_literal(&capture.sub),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

pub(super) fn repeat(part: Hir, min: u32, max: Option<u32>) -> Hir {
    Hir::repetition(Repetition {
        min,
        max,
        greedy: true,
        sub: Box::new(part),
    })
}

pub(super) fn digits(from: u8, to: u8) -> Hir {
    Hir::class(Class::Unicode(ClassUnicode::new([ClassUnicodeRange::new(
        char::from(from),
        char::from(to),
    )])))
}
