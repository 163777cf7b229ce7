//! `tidewaiter learn`: what recorded events hold becomes what new_terms rules remember.

use std::time::Duration;

use rule_engine::{DocumentReader, Engine, EngineOptions, RuleType, Rules};

use super::recording::reading::Wanted;
use super::recording::{Recording, unreadable};
use super::replay::warn_of_broken;
use super::{CommandError, ExitStatus, configured};
use crate::cli::LearnArguments;
use crate::clock::{WallClock, boot_clock_ns};
use crate::history::History;
use crate::record::SCHEMA;
use crate::rule_files::RuleFiles;
use crate::telemetry::report;

/// How long saving may take after the last event.
const SAVE_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn main(arguments: &LearnArguments) -> Result<ExitStatus, CommandError> {
    let config = configured(&arguments.sensor)?;
    let mut files = RuleFiles::from_config(&config)?;
    warn_of_broken(&files);
    let mut rules = files.take_rules();
    rules.retain(|rule| rule.info.rule_type == RuleType::NewTerms);
    if rules.is_empty() {
        return Err(CommandError::NothingToLearn);
    }
    let rules = Rules::compile(&SCHEMA, rules);
    let rule_count = rules.infos().len();
    let mut history = History::open(&config.state_directory, rules.longest_window())?;
    let mut engine = Engine::new(rules, EngineOptions::default());
    let mut record = engine.rules().narrow_record();
    let reader = DocumentReader::new(&record);

    let started_ns = WallClock::read().at(boot_clock_ns() as u64);
    let mut recording = Recording::open(&arguments.from, engine.rules(), Wanted::All)?;
    while let Some(document) = recording.next().map_err(|source| unreadable(&arguments.from, source))? {
        let Some(json) = document.json else { continue };
        // It could be read before.
        let _ = reader.read(&json, &mut record);
        // Nothing was seen at a time that has yet to come, whatever a document says.
        if let Some(time_ns) = record.time() {
            record.set_steady_time(time_ns.min(started_ns));
        }
        // What is new here is what is to be known from now on.
        engine.evaluate(&record, &mut history, &mut |_| {});
    }
    let remembered = history.close(SAVE_LIMIT);
    let counts = recording.finish();
    let status = counts.report();
    report::rule_engine(&engine.counters());
    tracing::info!(
        "{} events read; `{}` holds {} terms of {rule_count} new_terms rules",
        counts.events,
        config.state_directory.display(),
        remembered.terms,
    );
    if remembered.unsaved > 0 {
        tracing::error!(
            "{} terms could not be saved; once there is room, run this again",
            remembered.unsaved
        );
        return Ok(ExitStatus::Findings);
    }
    Ok(status)
}
