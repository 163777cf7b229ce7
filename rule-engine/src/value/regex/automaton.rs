//! Automata for patterns with Lucene's operators `~` and `&`, which no usual engine knows.
//!
//! A language becomes a nondeterministic automaton over characters; where it is negated, that of the part is made
//! deterministic, which may take more than [`MAX_WORK`], and is turned over. An intersection is the complement of the
//! union of the complements. Matching is one step a character.

use std::collections::HashMap;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::language::Language;

/// States and moves looked at while an automaton is built; past that it is given up.
pub(super) const MAX_WORK: usize = 4_000_000;

/// A deterministic automaton. Every state has a move for every character.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    /// The first code point of each class of characters that all states treat alike, ascending from 0.
    classes: Vec<u32>,
    /// For each state its next state for each class.
    moves: Vec<u32>,
    accepting: Vec<bool>,
}

impl Automaton {
    /// `None` if it takes too much work.
    pub(super) fn new(language: &Language) -> Option<Automaton> {
        let mut builder = Builder {
            states: Vec::new(),
            work: 0,
        };
        let part = builder.language(language)?;
        builder.determinize(part)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let last = text
            .chars()
            .fold(0, |state, character| self.next(state, u32::from(character)));
        self.accepting[last]
    }

    fn next(&self, state: usize, code_point: u32) -> usize {
        let class = self.classes.partition_point(|first| *first <= code_point) - 1;
        self.moves[state * self.classes.len() + class] as usize
    }
}

/// A state of the nondeterministic automaton.
#[derive(Default)]
struct State {
    /// States reached without a character.
    free: Vec<usize>,
    /// First and last code point, and the state that they lead to.
    moves: Vec<(u32, u32, usize)>,
}

/// A part of the automaton: what leads from the one state to the other.
#[derive(Copy, Clone)]
struct Part {
    start: usize,
    end: usize,
}

struct Builder {
    states: Vec<State>,
    work: usize,
}

impl Builder {
    fn spend(&mut self, work: usize) -> Option<()> {
        self.work += work;
        (self.work <= MAX_WORK).then_some(())
    }

    fn state(&mut self) -> Option<usize> {
        self.spend(1)?;
        self.states.push(State::default());
        Some(self.states.len() - 1)
    }

    fn empty_part(&mut self) -> Option<Part> {
        Some(Part {
            start: self.state()?,
            end: self.state()?,
        })
    }

    fn language(&mut self, language: &Language) -> Option<Part> {
        match language {
            Language::Plain(hir) => self.hir(hir),
            Language::Concat(parts) => self.chain(parts, Builder::language),
            Language::Union(parts) => self.choice(parts, Builder::language),
            Language::Repeat { part, min, max } => self.repeat(&**part, *min, *max, Builder::language),
            Language::Complement(part) => self.complement(|builder| builder.language(part)),
            Language::Intersection(parts) => self.complement(|builder| {
                builder.choice(parts, |builder, part| {
                    builder.complement(|builder| builder.language(part))
                })
            }),
        }
    }

    fn hir(&mut self, hir: &Hir) -> Option<Part> {
        match hir.kind() {
            HirKind::Literal(literal) => {
                let text = String::from_utf8_lossy(&literal.0).into_owned();
                let characters: Vec<u32> = text.chars().map(u32::from).collect();
                self.chain(&characters, |builder, character| {
                    builder.ranges([(*character, *character)].into_iter())
                })
            }
            HirKind::Class(Class::Unicode(class)) => {
                self.ranges(class.iter().map(|range| (range.start().into(), range.end().into())))
            }
            HirKind::Class(Class::Bytes(class)) => {
                self.ranges(class.iter().map(|range| (range.start().into(), range.end().into())))
            }
            HirKind::Concat(parts) => self.chain(parts, Builder::hir),
            HirKind::Alternation(parts) => self.choice(parts, Builder::hir),
            HirKind::Repetition(repetition) => {
                self.repeat(&*repetition.sub, repetition.min, repetition.max, Builder::hir)
            }
            HirKind::Capture(capture) => self.hir(&capture.sub),
            // The dialect has no anchors.
            HirKind::Empty | HirKind::Look(_) => self.chain(&[], Builder::hir),
        }
    }

    fn ranges(&mut self, ranges: impl Iterator<Item = (u32, u32)>) -> Option<Part> {
        let part = self.empty_part()?;
        for (first, last) in ranges {
            self.spend(1)?;
            self.states[part.start].moves.push((first, last, part.end));
        }
        Some(part)
    }

    fn chain<T>(&mut self, parts: &[T], build: impl Fn(&mut Self, &T) -> Option<Part>) -> Option<Part> {
        let start = self.state()?;
        let mut end = start;
        for part in parts {
            let next = build(self, part)?;
            self.states[end].free.push(next.start);
            end = next.end;
        }
        Some(Part { start, end })
    }

    fn choice<T>(&mut self, parts: &[T], build: impl Fn(&mut Self, &T) -> Option<Part>) -> Option<Part> {
        let whole = self.empty_part()?;
        for part in parts {
            let choice = build(self, part)?;
            self.states[whole.start].free.push(choice.start);
            self.states[choice.end].free.push(whole.end);
        }
        Some(whole)
    }

    fn repeat<T>(
        &mut self,
        part: &T,
        min: u32,
        max: Option<u32>,
        build: impl Fn(&mut Self, &T) -> Option<Part>,
    ) -> Option<Part> {
        let start = self.state()?;
        let mut end = start;
        let mut exits = Vec::new();
        for number in 0..max.unwrap_or(min + 1) {
            if number >= min {
                exits.push(end);
            }
            let next = build(self, part)?;
            self.states[end].free.push(next.start);
            end = next.end;
            if max.is_none() && number == min {
                // Back to before it, as often as wanted. States in between keep this apart from what surrounds it.
                self.states[end].free.push(next.start);
            }
        }
        let last = self.state()?;
        exits.push(end);
        for exit in exits {
            self.states[exit].free.push(last);
        }
        Some(Part { start, end: last })
    }

    /// All texts that the part does not describe.
    fn complement(&mut self, build: impl FnOnce(&mut Self) -> Option<Part>) -> Option<Part> {
        let first_state = self.states.len();
        let part = build(self)?;
        let automaton = self.determinize(part)?;
        // Nothing leads to the part's own states any more.
        self.states.truncate(first_state);
        let whole = self.empty_part()?;
        let states: Vec<usize> = automaton
            .accepting
            .iter()
            .map(|_| self.state())
            .collect::<Option<_>>()?;
        self.states[whole.start].free.push(states[0]);
        let classes = automaton.classes.len();
        for (number, state) in states.iter().enumerate() {
            if !automaton.accepting[number] {
                self.states[*state].free.push(whole.end);
            }
            for (class, first) in automaton.classes.iter().enumerate() {
                self.spend(1)?;
                let last = automaton
                    .classes
                    .get(class + 1)
                    .map_or(u32::from(char::MAX), |next| next - 1);
                let target = states[automaton.moves[number * classes + class] as usize];
                match self.states[*state].moves.last_mut() {
                    Some(previous) if previous.2 == target && previous.1 + 1 == *first => previous.1 = last,
                    _ => self.states[*state].moves.push((*first, last, target)),
                }
            }
        }
        Some(whole)
    }

    /// The subset construction. State 0 is the start.
    fn determinize(&mut self, part: Part) -> Option<Automaton> {
        let mut classes = vec![0];
        let first = self.closure(vec![part.start])?;
        let reachable = self.reachable(part.start)?;
        for state in &reachable {
            for (first, last, _) in &self.states[*state].moves {
                classes.extend([*first, last + 1]);
            }
        }
        classes.sort_unstable();
        classes.dedup();
        classes.retain(|first| *first <= u32::from(char::MAX));
        let mut numbers = HashMap::from([(first.clone(), 0_u32)]);
        let mut sets = vec![first];
        let mut moves = Vec::new();
        let mut done = 0;
        while let Some(set) = sets.get(done).cloned() {
            done += 1;
            for code_point in &classes {
                let mut targets = Vec::new();
                for state in &set {
                    let found = &self.states[*state].moves;
                    self.work += found.len() + 1;
                    let hits = found
                        .iter()
                        .filter(|(first, last, _)| (first..=last).contains(&code_point));
                    targets.extend(hits.map(|(_, _, target)| *target));
                }
                let next = self.closure(targets)?;
                let number = sets.len() as u32;
                let number = *numbers.entry(next.clone()).or_insert(number);
                if number as usize == sets.len() {
                    sets.push(next);
                }
                moves.push(number);
            }
        }
        let accepting = sets.iter().map(|set| set.binary_search(&part.end).is_ok()).collect();
        Some(Automaton {
            classes,
            moves,
            accepting,
        })
    }

    /// What the states reach without a character, in ascending order.
    fn closure(&mut self, mut states: Vec<usize>) -> Option<Vec<usize>> {
        let mut found: Vec<usize> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(state) = states.pop() {
            self.spend(1)?;
            if seen.insert(state) {
                found.push(state);
                states.extend(&self.states[state].free);
            }
        }
        found.sort_unstable();
        Some(found)
    }

    /// All states that can be come to.
    fn reachable(&mut self, start: usize) -> Option<Vec<usize>> {
        let mut seen = vec![false; self.states.len()];
        let mut waiting = vec![start];
        let mut found = Vec::new();
        while let Some(state) = waiting.pop() {
            self.spend(1)?;
            if !std::mem::replace(&mut seen[state], true) {
                found.push(state);
                let State { free, moves } = &self.states[state];
                waiting.extend(free.iter().copied().chain(moves.iter().map(|(_, _, target)| *target)));
            }
        }
        Some(found)
    }
}
