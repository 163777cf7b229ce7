//! How large anything may be. Each limit is checked before the work that it bounds.
//!
//! What an embedder may want otherwise is a value: [`RuleLimits`] bound the text and the meaning of rules, and passing
//! one is an error of that rule; [`EngineLimits`] bound what an engine remembers, and what they cut is counted.

/// How large a rule may be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RuleLimits {
    /// Bytes of a rule file.
    pub file_bytes: usize,
    /// Bytes of a file of exported rules.
    pub export_bytes: usize,
    /// Bytes of a query.
    pub query_bytes: usize,
    /// Parentheses, lists and `not`s inside one another, at most 256.
    pub nesting: usize,
    /// Values in one list of a query.
    pub list_length: usize,
    /// Bytes of one wildcard pattern, at most 1,024.
    pub pattern_bytes: usize,
    /// Highest count in `{n,m}` of a regular expression.
    pub regex_repeats: u32,
    /// Bytes of the automaton of the regular expressions of one condition.
    pub regex_automaton_bytes: usize,
    /// Events in a row that one sequence may ask for, repeated ones counted each time.
    pub sequence_events: usize,
    /// Repetitions in `with runs=N`.
    pub sequence_runs: usize,
    /// Events or different values that a threshold may ask for.
    pub threshold: usize,
}

impl Default for RuleLimits {
    fn default() -> Self {
        RuleLimits {
            file_bytes: 512 << 10,
            export_bytes: 16 << 20,
            query_bytes: 256 << 10,
            nesting: 64,
            list_length: 8_192,
            pattern_bytes: 1_024,
            regex_repeats: 1_000,
            regex_automaton_bytes: 1 << 20,
            sequence_events: 256,
            sequence_runs: 100,
            threshold: 1_000,
        }
    }
}

/// How much an engine remembers, and how much of one event a new-terms rule looks at. Whatever is limited is shared out
/// fairly among owners ([`Schema::with_owner`](crate::Schema::with_owner)).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EngineLimits {
    /// Bytes of everything that the engine remembers. A rule may have what the others leave free, and an equal share if
    /// it needs that.
    pub state_bytes: usize,
    /// Keys for which one rule remembers partial sequences, counts or alerts; one that several owners use counts for
    /// each.
    pub groups: usize,
    /// Sequences of one rule that wait for an event that must be missing after their last one.
    pub waiting_sequences: usize,
    /// Combinations of the values of one event that a new-terms rule looks at.
    pub term_combinations: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        EngineLimits {
            state_bytes: 12 << 20,
            groups: 65_536,
            waiting_sequences: 65_536,
            term_combinations: 100,
        }
    }
}

/// A limit that cannot be kept.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the limit `{name}` must be from {least} to {most}")]
pub struct LimitError {
    /// The limit's field, such as `pattern_bytes`.
    pub name: &'static str,
    /// The least value that can be kept.
    pub least: usize,
    /// The greatest value that can be kept.
    pub most: usize,
}

impl RuleLimits {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        // Places in a text have 32 bits.
        within("file_bytes", self.file_bytes, 1, u32::MAX as usize)?;
        within("export_bytes", self.export_bytes, 1, u32::MAX as usize)?;
        within("query_bytes", self.query_bytes, 1, u32::MAX as usize)?;
        // What nests is read by functions that call themselves.
        within("nesting", self.nesting, 1, 256)?;
        within("list_length", self.list_length, 1, usize::MAX)?;
        within("pattern_bytes", self.pattern_bytes, 1, MAX_PATTERN_BYTES)?;
        within("sequence_events", self.sequence_events, 2, usize::from(u16::MAX))?;
        within("sequence_runs", self.sequence_runs, 1, usize::from(u16::MAX))?;
        within("threshold", self.threshold, 1, u32::MAX as usize)
    }
}

impl EngineLimits {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        for (name, value) in [
            ("state_bytes", self.state_bytes),
            ("groups", self.groups),
            ("waiting_sequences", self.waiting_sequences),
            ("term_combinations", self.term_combinations),
        ] {
            within(name, value, 1, u32::MAX as usize)?;
        }
        Ok(())
    }
}

fn within(name: &'static str, value: usize, least: usize, most: usize) -> Result<(), LimitError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(LimitError { name, least, most })
}

/// The longest wildcard pattern: what is compiled has a bit for each place of it.
pub(crate) const MAX_PATTERN_BYTES: usize = 1_024;
/// Combinations of the values of one event that a function of several fields is computed for.
pub(crate) const MAX_FUNCTION_COMBINATIONS: usize = 1_000;
/// Bytes of text of one event that a function of several fields is computed from, all combinations together.
pub(crate) const MAX_FUNCTION_BYTES: usize = 2 << 20;
/// Bytes of one remembered term; a longer one is remembered by its beginning and a digest.
pub(crate) const MAX_TERM_BYTES: usize = 1_024;
/// Fields that the alerts of one rule may be grouped by for suppression.
pub(crate) const MAX_SUPPRESSION_FIELDS: usize = 5;
/// Keys under which one event may join a sequence or a threshold's groups.
pub(crate) const MAX_KEY_COMBINATIONS: usize = 100;
/// Bytes of one text in the summary of an earlier event of a sequence.
pub(crate) const MAX_SUMMARY_TEXT_BYTES: usize = 512;
/// Values of one document that are named as not fitting their fields, and bytes of each.
pub(crate) const MAX_UNFIT_SHOWN: usize = 10;
pub(crate) const MAX_UNFIT_TEXT_BYTES: usize = 48;
/// Matches that are kept of those that an alert suppressed and grows by, and the bytes that they may take.
pub(crate) const MAX_GROWTH_EVENTS: usize = 64;
pub(crate) const MAX_GROWTH_BYTES: usize = 64 << 10;
/// Data streams that an engine knows by the name that events give them, and bytes of such a name.
pub(crate) const MAX_KNOWN_STREAMS: usize = 1_000;
pub(crate) const MAX_STREAM_NAME_BYTES: usize = 512;
/// Bytes of the arguments that are kept of the last event of a sequence that waits.
pub(crate) const MAX_SUMMARY_ARGUMENT_BYTES: usize = 1_024;
/// Lines of one match's reason.
pub(crate) const MAX_REASON_LINES: usize = 24;
/// Values that one line of a reason shows.
pub(crate) const MAX_REASON_VALUES: usize = 5;
/// Characters of one value in a reason.
pub(crate) const MAX_REASON_VALUE_CHARACTERS: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_can_be_kept() {
        assert_eq!(RuleLimits::default().check(), Ok(()));
        assert_eq!(EngineLimits::default().check(), Ok(()));
    }

    #[test]
    fn a_limit_that_would_break_what_is_compiled_is_refused_by_name() {
        let limits = RuleLimits {
            pattern_bytes: MAX_PATTERN_BYTES + 1,
            ..RuleLimits::default()
        };
        let error = limits.check().expect_err("too long a pattern");
        assert_eq!(error.to_string(), "the limit `pattern_bytes` must be from 1 to 1024");
        let limits = EngineLimits {
            groups: 0,
            ..EngineLimits::default()
        };
        assert_eq!(limits.check().map_err(|error| error.name), Err("groups"));
    }
}
