//! Numbers that are measured, each under two names, and what the repository records of them, so that growth is noticed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::command::repository;

/// By the two names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<(String, String), u64>);

/// Whether what is measured is written into the repository.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Yes,
    No,
}

/// A file in the repository with one number a line, behind its names.
pub(crate) struct Baseline {
    pub(crate) file: &'static str,
    /// Its first line, which says what the numbers are and what writes them.
    pub(crate) heading: &'static str,
    /// How many per cent a number may be above what is recorded.
    pub(crate) growth: u64,
}

impl Baseline {
    pub(crate) fn read(&self) -> Result<Counts> {
        Counts::read(&repository().join(self.file))
    }

    /// Puts down what was measured, beside what is recorded under other first names.
    pub(crate) fn write(&self, measured: &Counts) -> Result<()> {
        let mut recorded = self.read()?;
        let first: Vec<&String> = measured.0.keys().map(|(first, _)| first).collect();
        recorded.0.retain(|(other, _), _| !first.contains(&other));
        recorded.0.extend(measured.0.clone());
        recorded.write(&repository().join(self.file), self.heading)
    }

    /// What of the measured numbers is too far above what is recorded, both told.
    pub(crate) fn grown(&self, measured: &Counts) -> Result<Vec<String>> {
        Ok(measured.grown(&self.read()?, self.growth))
    }
}

impl Counts {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
        Self::parse(&text).with_context(|| format!("`{}` is damaged", file.display()))
    }

    pub(crate) fn write(&self, file: &Path, heading: &str) -> Result<()> {
        fs::write(file, format!("{heading}\n{}", self.to_text()))
            .with_context(|| format!("could not write `{}`", file.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [first, second, count] = words.as_slice() else {
                anyhow::bail!("`{line}` is not two names and a number");
            };
            let count = count.parse().with_context(|| format!("`{count}` is no number"))?;
            counts.0.insert(((*first).to_owned(), (*second).to_owned()), count);
        }
        Ok(counts)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for ((first, second), count) in &self.0 {
            let _ = writeln!(text, "{first} {second} {count}");
        }
        text
    }

    /// Takes in what was measured under a first name, in place of what was before.
    pub(crate) fn replace(&mut self, first: &str, counts: &[(String, u64)]) {
        self.0.retain(|(other, _), _| other != first);
        for (second, count) in counts {
            self.0.insert((first.to_owned(), second.clone()), *count);
        }
    }

    /// Whether there is any number under this first name.
    pub(crate) fn knows(&self, first: &str) -> bool {
        self.0.keys().any(|(other, _)| other == first)
    }

    fn grown(&self, recorded: &Self, growth: u64) -> Vec<String> {
        let is_more = |recorded: u64, count: u64| count * 100 > recorded * (100 + growth);
        let grown = self.0.iter().filter_map(|((first, second), count)| {
            let recorded = *recorded.0.get(&(first.clone(), second.clone()))?;
            is_more(recorded, *count).then(|| format!("{first} {second}: {count}, recorded {recorded}"))
        });
        grown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_past_what_is_allowed_is_found_and_less_is_not() {
        let recorded = Counts::parse("# heading\n6.1 one 100\n6.1 two 100\n6.12 one 10\n").unwrap();
        let mut measured = Counts::default();
        let counts = [("one", 150), ("two", 151), ("three", 9999)];
        measured.replace("6.1", &counts.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(measured.grown(&recorded, 50), ["6.1 two: 151, recorded 100"]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut counts = Counts::default();
        counts.replace("newest", &[("one".to_owned(), 1), ("two".to_owned(), 2)]);
        assert_eq!(Counts::parse(&counts.to_text()).unwrap(), counts);
        assert!(Counts::parse("6.1 one many\n").is_err());
    }
}
