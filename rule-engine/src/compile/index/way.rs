//! A way in which a rule takes events in, as the index is built of it.

use crate::analysis::prerequisite::Needs;
use crate::compile::graph::NodeId;
use crate::condition::Condition;
use crate::record::streams::Categories;

/// A way in which a rule takes events in.
pub(crate) struct Way<'a> {
    /// The position of the rule.
    pub rule: usize,
    pub needs: &'a Needs,
    pub categories: Categories,
    /// What must hold, and where that is in the graph.
    pub conditions: [(&'a Condition, NodeId); 2],
}
