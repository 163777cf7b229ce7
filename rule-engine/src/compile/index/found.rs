//! What the index has found of one event: passed from field to field, and what is remembered of it.

use super::rule_bits::RuleBits;

/// What is found so far.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub rules: RuleBits,
    /// The rules of which one of the alternatives was found, or may be there.
    pub met: RuleBits,
    pub allowed: RuleBits,
}
