//! How an engine runs, whatever its rules.

use crate::limits::{EngineLimits, LimitError};

/// How an engine runs its rules.
#[derive(Copy, Clone, Debug, Default)]
pub struct EngineOptions {
    pub(super) learn_for_ms: i64,
    pub(super) limits: EngineLimits,
}

impl EngineOptions {
    /// How long a new-terms rule only learns after its first run, in milliseconds; none unless said otherwise. A
    /// rule's own `learn_for` counts instead where it has one.
    pub fn with_learn_for_ms(mut self, learn_for_ms: i64) -> EngineOptions {
        self.learn_for_ms = learn_for_ms;
        self
    }

    /// With these limits instead of the default ones.
    ///
    /// # Errors
    /// A limit that cannot be kept.
    pub fn with_limits(mut self, limits: EngineLimits) -> Result<EngineOptions, LimitError> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }
}
