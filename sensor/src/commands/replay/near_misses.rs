//! `replay --explain`: the events that a rule nearly matches, and what they lack.

use std::io::{self, Write};

use rule_engine::{Engine, NearMiss, Record};
use serde_json::json;

use crate::commands::recording::whole_document;
use crate::outputs::json::write_line;
use crate::text::document::Document;

/// Writes the events that lack one condition of a rule as they come; if there are none, and none that it takes in, in the
/// end the nearest one.
pub(crate) struct NearMisses {
    rule_id: String,
    nearest: Option<(NearMiss, Document)>,
    /// Whether an event was written, or taken in by the rule.
    is_explained: bool,
}

impl NearMisses {
    pub(crate) fn new(rule_id: &str) -> NearMisses {
        NearMisses {
            rule_id: rule_id.to_owned(),
            nearest: None,
            is_explained: false,
        }
    }

    /// `json` is the event's document, in this line of the input.
    pub(crate) fn examine(
        &mut self,
        engine: &Engine,
        record: &Record,
        json: &str,
        line: u64,
        output: &mut impl Write,
    ) -> io::Result<()> {
        let misses = engine.near_misses(&self.rule_id, record);
        self.is_explained |= misses.is_empty();
        for miss in misses {
            let is_near = miss.distance == 1;
            let nearest = self.nearest.as_ref().map_or(u32::MAX, |(nearest, _)| nearest.distance);
            if !is_near && (self.is_explained || miss.distance >= nearest) {
                continue;
            }
            let document = self.document(whole_document(json, record), &miss, line);
            if is_near {
                self.is_explained = true;
                write_line(output, &document)?;
            } else {
                self.nearest = Some((miss, document));
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self, output: &mut impl Write) -> io::Result<()> {
        match self.nearest {
            Some((_, document)) if !self.is_explained => write_line(output, &document),
            _ => Ok(()),
        }
    }

    fn document(&self, mut event: Document, miss: &NearMiss, line: u64) -> Document {
        let mut explanation = json!({
            "rule_id": self.rule_id,
            "line": line,
            "failed": miss.failed,
            "conditions_failed": miss.distance,
        });
        if let Some(term) = miss.term {
            explanation["term"] = term.into();
        }
        event.insert("tidewaiter.near_miss".to_owned(), explanation);
        event
    }
}
