//! What a pattern describes: a regular expression in the usual sense, as long as no operator of Lucene's stands in it.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Repetition};

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
    pub fn concat(parts: Vec<Language>) -> Language {
        combine(parts, Hir::concat, Language::Concat)
    }

    pub fn union(parts: Vec<Language>) -> Language {
        combine(parts, Hir::alternation, Language::Union)
    }

    pub fn intersection(mut parts: Vec<Language>) -> Language {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        Language::Intersection(parts)
    }

    pub fn repeat(part: Language, min: u32, max: Option<u32>) -> Language {
        match part {
            Language::Plain(hir) => Language::Plain(repeat(hir, min, max)),
            other => Language::Repeat {
                part: Box::new(other),
                min,
                max,
            },
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
