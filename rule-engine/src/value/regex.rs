//! Regular expressions in Lucene's dialect, as EQL's `regex` uses them.
//!
//! A pattern describes the whole text: there are no anchors, and `^` and `$` are characters like others. What is
//! regular in the usual sense is handed to an engine that runs in time linear in the text; what has Lucene's operators
//! `~` (complement) or `&` (intersection) in it becomes an [`automaton`] of its own, which does too.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex_automata::meta;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Hir, Look};

use crate::limits::RuleLimits;
use crate::value::Case;

mod automaton;
mod language;
mod literals;
mod parser;

use automaton::Automaton;
use language::Language;
pub(crate) use parser::parse;

/// A pattern that has been read.
#[derive(Clone, Debug)]
pub(crate) struct RegexPattern {
    written: Written,
    language: Language,
}

/// What distinguishes one regular expression from another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Written {
    text: String,
    case: Case,
}

/// One or more patterns of which one has to match the whole text.
#[derive(Clone)]
pub(crate) struct Regex {
    /// The patterns that the usual engine can run, as one.
    plain: Option<meta::Regex>,
    /// The others.
    automata: Arc<[Automaton]>,
    written: Arc<[Written]>,
    has_literal: bool,
    required_parts: Option<Arc<[Box<str>]>>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.written == other.written
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.written.hash(state);
    }
}

/// By the patterns, which say all of it.
impl fmt::Debug for Regex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Regex").field(&self.written).finish()
    }
}

impl Regex {
    /// `None` if an automaton would be too large: larger than the limits say, or for an operator more
    /// work than [`automaton::MAX_WORK`].
    pub(crate) fn new(limits: &RuleLimits, patterns: Vec<RegexPattern>) -> Option<Regex> {
        let written = patterns.iter().map(|pattern| pattern.written.clone()).collect();
        let has_literal = patterns.iter().all(|pattern| pattern.language.has_literal());
        let required_parts = literals::of_all(patterns.iter().map(|pattern| &pattern.language));
        let mut plain = Vec::new();
        let mut automata = Vec::new();
        for pattern in patterns {
            match pattern.language {
                Language::Plain(hir) => plain.push(hir),
                other => automata.push(Automaton::new(&other)?),
            }
        }
        let plain = if plain.is_empty() {
            None
        } else {
            Some(whole_text(limits, plain)?)
        };
        Some(Regex {
            plain,
            automata: automata.into(),
            written,
            has_literal,
            required_parts: required_parts.map(Into::into),
        })
    }

    /// Whether all texts that match have some characters in a row in common, for each pattern its own: only then it
    /// says something that can be looked for quickly.
    pub(crate) fn has_literal(&self) -> bool {
        self.has_literal
    }

    /// Parts, in lower case, of which each text that matches has one; `None` where there are none worth searching for.
    pub(crate) fn required_parts(&self) -> Option<&[Box<str>]> {
        self.required_parts.as_deref()
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        #[cfg(test)]
        super::steps::add(text.len());
        self.plain
            .as_ref()
            .is_some_and(|plain| plain.is_match(Input::new(text).anchored(Anchored::Yes)))
            || self.automata.iter().any(|automaton| automaton.matches(text))
    }
}

fn whole_text(limits: &RuleLimits, patterns: Vec<Hir>) -> Option<meta::Regex> {
    let whole = Hir::concat(vec![
        Hir::look(Look::Start),
        Hir::alternation(patterns),
        Hir::look(Look::End),
    ]);
    let config = meta::Config::new()
        .nfa_size_limit(Some(limits.regex_automaton_bytes))
        .hybrid_cache_capacity(limits.regex_automaton_bytes);
    meta::Builder::new().configure(config).build_from_hir(&whole).ok()
}

#[cfg(test)]
mod tests;
