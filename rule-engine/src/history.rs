//! What has been seen before: the memory behind new-terms rules.
//!
//! The engine asks and tells through [`TermHistory`]; storage and durability are the implementor's. Times are
//! milliseconds since the epoch and come from the events, never from a clock.

/// Remembers when each term of each rule was last seen.
pub trait TermHistory {
    /// When the rule ran for the first time ever; the first call records `now_ms`.
    fn rule_first_seen(&mut self, rule_key: &str, now_ms: i64) -> i64;

    /// Records that the term was seen at `now_ms` and returns when it was last seen before, if it was. What is kept
    /// is the latest time, also when events come out of order.
    fn observe(&mut self, rule_key: &str, term: &str, now_ms: i64) -> Option<i64>;
}
