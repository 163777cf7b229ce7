//! What a check found, and what a host lacks.

use std::fmt;

use serde::Serialize;

use crate::text::escape::Visible;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) status: CheckStatus,
    /// What was found, and what follows from it.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckStatus {
    Ok,
    /// The sensor runs, but knows or does less.
    Warn,
    /// The sensor cannot run.
    Fail,
}

/// What the host lacks and the sensor cannot do without.
#[derive(Debug, thiserror::Error)]
pub(crate) struct LackingHost(pub(crate) Vec<Check>);

impl fmt::Display for LackingHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this host lacks what the sensor needs")?;
        for check in &self.0 {
            write!(f, "\n  {}: {}", check.name, Visible(&check.found))?;
            if let Some(remedy) = &check.remedy {
                write!(f, "\n    what to do: {}", Visible(remedy))?;
            }
        }
        Ok(())
    }
}
