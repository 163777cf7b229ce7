//! How an engine runs, whatever its rules.

/// How an engine runs its rules.
#[derive(Copy, Clone, Debug, Default)]
pub struct EngineOptions {
    /// How long a new-terms rule only learns after its first event, in milliseconds; a rule's own `learn_for` counts
    /// instead where it has one.
    pub learn_for_ms: i64,
}
