//! Rules are read here, at the start and again at every `SIGHUP`.

use rule_engine::{Severity, fields};
use tracing::{info, warn};

use super::handler::Update;
use super::notify;
use crate::config::Config;
use crate::detection::Rules;
use crate::kernel::Environment;
use crate::rule_files::{RuleFiles, RuleFilesError, RuleStatus};

/// Reads and compiles the configured rules; says on stderr what is wrong with which.
///
/// # Errors
/// No rule can run.
pub(crate) fn load_rules(config: &Config) -> Result<Rules, RuleFilesError> {
    let mut files = RuleFiles::from_config(config)?;
    let broken = report_findings(&files);
    let rules = Rules::compile(files.take_rules());
    if rules.count() == 0 {
        return Err(RuleFilesError::NoneRuns);
    }
    if broken > 0 {
        warn!("{broken} rules are left out; the others run");
    }
    Ok(rules)
}

/// Gives the rules as they are now, each time that it is called; `None` if the ones before are to stay. `environment` is
/// what the kernel side was started with.
pub(crate) fn reload(config: Config, environment: Environment) -> impl FnMut() -> Option<Update> + Send + 'static {
    move || {
        notify::reloading();
        match load_rules(&config) {
            Ok(rules) => {
                info!("{} rules are loaded anew", rules.count());
                if rules.reads(fields::PROCESS_ENV_VARS) && environment == Environment::LeftAlone {
                    warn!("a rule reads `process.env_vars`, as none did before: start the sensor anew to have it");
                }
                Some(Update::Rules(Box::new(rules)))
            }
            Err(error) => {
                warn!("the rules stay as they were: {error}");
                notify::ready("the rules stay as they were before the reload");
                None
            }
        }
    }
}

/// Says what is wrong with rule files; gives how many do not run.
fn report_findings(files: &RuleFiles) -> usize {
    let mut left_out = 0;
    for file in &files.files {
        for diagnostic in &file.report.diagnostics {
            let text = diagnostic.render(&file.report.path, &file.text);
            match diagnostic.severity {
                Severity::Error => warn!("{}", text.trim_end()),
                Severity::Warning => info!("{}", text.trim_end()),
            }
        }
        left_out += usize::from(file.report.status != RuleStatus::Ok);
    }
    left_out
}
