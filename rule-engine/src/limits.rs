//! How large a rule may be. Each limit is checked before the work it bounds, and passing it is an error of that rule.

/// Bytes of a rule file.
pub const MAX_RULE_FILE_BYTES: usize = 512 << 10;
/// Bytes of a file of exported rules.
pub const MAX_EXPORT_BYTES: usize = 16 << 20;
/// Bytes of a query.
pub const MAX_QUERY_BYTES: usize = 256 << 10;
/// Parentheses, lists and `not`s inside one another.
pub const MAX_QUERY_NESTING: usize = 64;
/// Values in one list of a query.
pub const MAX_LIST_LENGTH: usize = 8_192;
/// Bytes of one wildcard pattern.
pub const MAX_PATTERN_BYTES: usize = 1_024;
/// Highest count in `{n,m}` of a regular expression.
pub const MAX_REGEX_REPEATS: u32 = 1_000;
/// Bytes of the automaton of the regular expressions of one condition.
pub const MAX_REGEX_AUTOMATON_BYTES: usize = 1 << 20;
/// Combinations of the values of one event that a function of several fields is computed for.
pub const MAX_FUNCTION_COMBINATIONS: usize = 1_000;
/// Combinations of the values of one event that a new-terms rule looks at.
pub const MAX_TERM_COMBINATIONS: usize = 100;
/// Bytes of one remembered term; a longer one is remembered by its beginning and a digest.
pub const MAX_TERM_BYTES: usize = 1_024;
/// Events in a row that one sequence may ask for, repeated terms counted each time.
pub const MAX_SEQUENCE_STAGES: usize = 256;
/// Repetitions in `with runs=N`.
pub const MAX_SEQUENCE_RUNS: i64 = 100;
/// Sequences of one rule that wait for an event that must be missing behind their last one.
pub const MAX_WAITING_SEQUENCES: usize = 1_024;
/// Events or different values that a threshold may ask for.
pub const MAX_THRESHOLD: i64 = 1_000;
/// Fields that the alerts of one rule may be grouped by for suppression.
pub const MAX_SUPPRESSION_FIELDS: usize = 5;
/// Keys for which one rule remembers partial sequences, counts or alerts.
pub const MAX_GROUPS: usize = 2_048;
/// Events that the partial sequences of one rule remember, all keys together.
pub const MAX_REMEMBERED_EVENTS: usize = 4_096;
/// Keys under which one event may join a sequence or a threshold's groups.
pub const MAX_KEY_COMBINATIONS: usize = 100;
/// Bytes of one text in the summary of an earlier event of a sequence.
pub const MAX_SUMMARY_TEXT_BYTES: usize = 512;
/// Lines of one match's reason.
pub const MAX_REASON_LINES: usize = 24;
/// Values that one line of a reason shows.
pub const MAX_REASON_VALUES: usize = 5;
/// Characters of one value in a reason.
pub const MAX_REASON_VALUE_CHARACTERS: usize = 120;
