//! What came of a rule file, as `tidewaiter rules check` says it.

use rule_engine::{CheckedRule, Diagnostic, Report};
use serde::Serialize;

/// One rule of `tidewaiter rules check`; the names of the fields are those of its JSON form.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RuleReport {
    pub(crate) path: String,
    pub(crate) rule_id: Option<String>,
    pub(crate) name: Option<String>,
    #[serde(rename = "type")]
    pub(crate) rule_type: Option<String>,
    pub(crate) status: RuleStatus,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleStatus {
    Ok,
    /// The rule is of a type that needs Elasticsearch.
    Unsupported,
    Error,
}

impl RuleReport {
    pub(super) fn of_rule(path: &str, rule: &CheckedRule) -> RuleReport {
        RuleReport {
            path: path.to_owned(),
            rule_id: Some(rule.info.rule_id.clone()),
            name: Some(rule.info.name.clone()),
            rule_type: Some(rule.info.rule_type.as_str().to_owned()),
            status: RuleStatus::Ok,
            diagnostics: rule.warnings.clone(),
        }
    }

    pub(super) fn of_failure(path: &str, report: Report) -> RuleReport {
        RuleReport {
            path: path.to_owned(),
            rule_id: report.rule_id,
            name: report.name,
            rule_type: report.rule_type,
            status: if report.is_unsupported {
                RuleStatus::Unsupported
            } else {
                RuleStatus::Error
            },
            diagnostics: report.diagnostics,
        }
    }
}
