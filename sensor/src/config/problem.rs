//! Checks of written values, and what they find, at its place in the file.

use std::ffi::OsStr;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

/// Turns written values into checked ones and collects what is wrong with them.
pub(crate) struct Checker<'a> {
    pub(crate) text: &'a str,
    pub(crate) problems: Vec<Problem>,
}

impl Checker<'_> {
    pub(crate) fn value<Written, Checked>(
        &mut self,
        written: Option<Spanned<Written>>,
        base: Checked,
        check: impl FnOnce(Written) -> Result<Checked, String>,
    ) -> Checked {
        let Some(written) = written else { return base };
        let start = written.span().start;
        check(written.into_inner()).unwrap_or_else(|message| {
            self.problems.push(Problem::at(self.text, start, &message));
            base
        })
    }
}

/// One thing that is wrong in a configuration file. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(crate) fn at(text: &str, offset: usize, message: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.to_owned(),
            help: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// A written text, of which an empty one means none.
pub(crate) fn not_empty<Text: AsRef<OsStr>>(written: Option<Text>, base: Option<Text>) -> Option<Text> {
    match written {
        Some(text) => (!text.as_ref().is_empty()).then_some(text),
        None => base,
    }
}

pub(crate) fn in_range(written: i64, range: RangeInclusive<u32>) -> Result<u32, String> {
    u32::try_from(written)
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| format!("`{written}` is out of range: {} to {}", range.start(), range.end()))
}

/// A number and a unit: `250ms`, `10m`, `14d`.
pub(crate) fn parse_duration(written: &str) -> Result<Duration, String> {
    let digits = written.len() - written.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = written.split_at(digits);
    let unit_milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" => Some(24 * 60 * 60 * 1000),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(unit_milliseconds)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration is a whole number and a unit (ms, s, m, h or d), such as `10m`".to_owned())
}
