//! The query languages: text becomes a [`Condition`](crate::condition::Condition) whose fields exist and whose literals
//! fit them.

pub(crate) mod eql;
pub(crate) mod kql;
pub(crate) mod query_dsl;
