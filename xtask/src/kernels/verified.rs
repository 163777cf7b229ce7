//! How many instructions the verifier looks at in each program, by kernel: what is recorded in the repository, and
//! what was measured last. A program near the verifier's limit fails on the next kernel, so growth is to be noticed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::target_folder;

/// In the repository.
const RECORD: &str = "xtask/src/kernels/verified.txt";
const HEADING: &str = "# kernel, program, instructions that its verifier looked at: `cargo xtask kernels --record`\n";

/// By kernel and program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<(String, String), u64>);

impl Counts {
    /// What the repository records.
    pub(crate) fn recorded(repository: &Path) -> Result<Self> {
        Self::read(&repository.join(RECORD))
    }

    /// What was measured last on this machine; empty if nothing was.
    pub(crate) fn measured() -> Result<Self> {
        let file = measured_file();
        if file.exists() {
            Self::read(&file)
        } else {
            Ok(Self::default())
        }
    }

    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
        Self::parse(&text).with_context(|| format!("`{}` is damaged", file.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [kernel, program, count] = words.as_slice() else {
                anyhow::bail!("`{line}` is not a kernel, a program and a number");
            };
            let count = count.parse().with_context(|| format!("`{count}` is no number"))?;
            counts.0.insert(((*kernel).to_owned(), (*program).to_owned()), count);
        }
        Ok(counts)
    }

    fn to_text(&self) -> String {
        let mut text = HEADING.to_owned();
        for ((kernel, program), count) in &self.0 {
            let _ = writeln!(text, "{kernel} {program} {count}");
        }
        text
    }

    /// Takes in what was measured on a kernel, in place of what was before.
    pub(crate) fn replace(&mut self, kernel: &str, programs: &[(String, u64)]) {
        self.0.retain(|(other, _), _| other != kernel);
        for (program, count) in programs {
            self.0.insert((kernel.to_owned(), program.clone()), *count);
        }
    }

    /// Keeps it as what was measured last.
    pub(crate) fn keep(&self) -> Result<()> {
        write(&measured_file(), &self.to_text())
    }

    /// Writes what was measured into the repository, beside what is recorded of other kernels.
    pub(crate) fn record(&self, repository: &Path) -> Result<()> {
        let mut recorded = Self::recorded(repository)?;
        let kernels: Vec<&String> = self.0.keys().map(|(kernel, _)| kernel).collect();
        recorded.0.retain(|(kernel, _), _| !kernels.contains(&kernel));
        recorded.0.extend(self.0.clone());
        write(&repository.join(RECORD), &recorded.to_text())
    }

    /// Programs for which `measured` is more than half above this record.
    pub(crate) fn grown(&self, measured: &Self) -> Vec<String> {
        let is_more = |(key, count): &(&(String, String), &u64)| {
            let recorded = self.0.get(*key);
            recorded.is_some_and(|recorded| *count * 2 > recorded * 3)
        };
        let say = |((kernel, program), count): (&(String, String), &u64)| {
            format!(
                "{RECORD}: the verifier of {kernel} looks at {count} instructions of `{program}`, more than half above \
                 what is recorded; make it smaller, or record it with `cargo xtask kernels --record`"
            )
        };
        measured.0.iter().filter(is_more).map(say).collect()
    }
}

fn measured_file() -> PathBuf {
    target_folder().join("kernels/verified.txt")
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("could not write `{}`", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_half_is_found_and_less_is_not() {
        let recorded = Counts::parse("# heading\n6.1 one 100\n6.1 two 100\n6.12 one 10\n").unwrap();
        let mut measured = Counts::default();
        measured.replace(
            "6.1",
            &[
                ("one".to_owned(), 150),
                ("two".to_owned(), 151),
                ("three".to_owned(), 9999),
            ],
        );
        let grown = recorded.grown(&measured);
        assert_eq!(grown.len(), 1);
        assert!(
            grown[0].contains("6.1 looks at 151 instructions of `two`"),
            "{}",
            grown[0]
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut counts = Counts::default();
        counts.replace("newest", &[("one".to_owned(), 1), ("two".to_owned(), 2)]);
        assert_eq!(Counts::parse(&counts.to_text()).unwrap(), counts);
        assert!(Counts::parse("6.1 one many\n").is_err());
    }
}
