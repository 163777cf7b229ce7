//! The rule file's keys: which are needed, which change what the rule means, which are only passed on.

use serde_json::Value as Json;
use toml::de::DeTable;

use super::table::{Located, Table, span};
use super::{CheckedRule, RuleInfo, RuleSeverity, RuleType, alert_limits, examples, exceptions, query_position};
use crate::analysis::{category, cost, satisfiable};
use crate::condition::{Cardinality, Detection, KeyField, MissingKey, NewTerms, Then, Threshold};
use crate::diagnostic::{Code, Findings, Span};
use crate::language::{ParseOptions, eql, kql};
use crate::record::streams::Categories;
use crate::schema::FieldReference;
use crate::value::duration;

/// What a rule file says, as far as it could be read.
#[derive(Default)]
pub(super) struct ReadRule {
    pub rule_id: Option<String>,
    pub name: Option<String>,
    pub rule_type: Option<String>,
    /// The rule's type is known, but is none that this engine runs.
    pub is_unsupported: bool,
    pub rule: Option<CheckedRule>,
}

/// Types of Elastic's rules that ask for a search engine or a model.
const UNSUPPORTED_TYPES: [&str; 4] = ["esql", "machine_learning", "threat_match", "saved_query"];
/// Keys of `[rule]` without which the rule would mean something else.
const UNSUPPORTED_KEYS: [&str; 1] = ["event_category_override"];
/// What Kibana takes where a rule has no `from`.
const DEFAULT_LOOK_BACK_MS: i64 = 6 * 60 * 1_000;
const MAX_NEW_TERMS_FIELDS: usize = 3;

pub(super) fn read(options: &ParseOptions, text: &str, findings: &mut Findings) -> ReadRule {
    let most = options.limits().file_bytes;
    if text.len() > most {
        let message = format!("the file is longer than {most} bytes");
        findings.add(Span::default(), Code::FileTooLong, message);
        return ReadRule::default();
    }
    let (file, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        findings.add(span(error.span().unwrap_or_default()), Code::Toml, message);
    }
    let file = Table::new("file", &file);
    let Some(rule) = file.table("rule", findings) else {
        if !findings.has_errors() {
            findings.add(Span::default(), Code::MissingKey, "the file has no `[rule]` table");
        }
        return ReadRule::default();
    };
    let mut reader = Reader {
        text,
        options,
        rule,
        findings,
    };
    let mut read_rule = ReadRule {
        rule_id: reader.required("rule_id").map(|id| id.value.to_owned()),
        name: reader.required("name").map(|name| name.value.to_owned()),
        rule_type: None,
        is_unsupported: false,
        rule: None,
    };
    let Some(rule_type) = reader.required("type") else {
        return read_rule;
    };
    read_rule.rule_type = Some(rule_type.value.to_owned());
    match RuleType::from_name(rule_type.value) {
        Some(known) => read_rule.rule = reader.checked_rule(file, &read_rule, known),
        None if UNSUPPORTED_TYPES.contains(&rule_type.value) => {
            read_rule.is_unsupported = true;
            let message = format!("rules of type `{}` are not supported", rule_type.value);
            findings.add(rule_type.span, Code::UnsupportedType, message);
        }
        None => {
            let message = format!("unknown rule type `{}`", rule_type.value);
            findings.add(rule_type.span, Code::UnknownType, message);
        }
    }
    read_rule
}

fn parse_kql(options: &ParseOptions, query: &str, findings: &mut Findings) -> Option<Detection> {
    let condition = kql::parse(options, query, findings)?;
    Some(Detection::Single {
        condition,
        then: Then::Alert,
    })
}

/// The names as a list in a sentence.
fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

struct Reader<'a, 'f> {
    options: &'a ParseOptions,
    text: &'a str,
    rule: Table<'a>,
    findings: &'f mut Findings,
}

impl<'a> Reader<'a, '_> {
    fn required(&mut self, key: &str) -> Option<Located<&'a str>> {
        if !self.rule.has(key) {
            self.findings.add(
                self.rule.span,
                Code::MissingKey,
                format!("`{key}` is missing in `[rule]`"),
            );
        }
        self.rule.text(key, self.findings)
    }

    /// Reads everything before it gives up, so that all errors are reported.
    fn checked_rule(&mut self, file: Table<'a>, read_rule: &ReadRule, rule_type: RuleType) -> Option<CheckedRule> {
        self.refuse_unsupported_keys();
        let query = self.query(rule_type);
        let own = file.table(self.options.own_table(), self.findings);
        let learn_for_ms = own.and_then(|table| self.learn_for(table, rule_type));
        let examples = own
            .map(|table| examples::read(self.options.schema(), table, self.findings))
            .unwrap_or_default();
        let then = self.then(rule_type, learn_for_ms);
        let categories = self.categories();
        let filter = exceptions::read(self.options, self.rule, self.findings);
        if let Some(filter) = &filter {
            satisfiable::satisfiability(self.options.producer(), filter, self.rule.span)
                .warn("the rule", self.findings);
        }
        if let Some(query) = &query {
            self.compare_categories(query, categories);
            self.warn_of_cost(query);
        }
        let limits = alert_limits::read(
            self.options.schema(),
            self.rule,
            rule_type,
            query.as_ref(),
            self.findings,
        );
        let building_block_type = self.rule.text("building_block_type", self.findings);
        let description = self.required("description");
        let severity = self.severity();
        let risk_score = self.risk_score();
        let note = self.rule.text("note", self.findings).map(|note| note.value.to_owned());
        let tags = self.texts("tags");
        let references = self.texts("references");
        let mut detection = query?;
        if let Detection::Single { then: of_query, .. } = &mut detection {
            *of_query = then?;
        }
        let rule_id = read_rule.rule_id.clone()?;
        Some(CheckedRule {
            info: RuleInfo {
                rule_id,
                name: read_rule.name.clone()?,
                description: description?.value.trim().to_owned(),
                severity: severity?,
                risk_score: risk_score?,
                rule_type,
                tags,
                threat: self.rule.json("threat").unwrap_or_else(|| Json::Array(Vec::new())),
                building_block_type: building_block_type.map(|block| block.value.to_owned()),
                note,
                references,
                examples,
            },
            warnings: Vec::new(),
            line: 1,
            schema: self.options.schema().clone(),
            categories,
            filter: filter?,
            limits: limits?,
            detection,
        })
    }

    fn refuse_unsupported_keys(&mut self) {
        for key in UNSUPPORTED_KEYS {
            if let Some(span) = self.rule.has_content(key) {
                self.findings
                    .add(span, Code::UnsupportedKey, format!("`{key}` is not supported yet"));
            }
        }
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        self.rule
            .texts(key, self.findings)
            .into_iter()
            .map(|text| text.value.to_owned())
            .collect()
    }

    fn severity(&mut self) -> Option<RuleSeverity> {
        let name = self.required("severity")?;
        let severity = RuleSeverity::from_name(name.value);
        if severity.is_none() {
            let message = format!("`{}` is none of `low`, `medium`, `high`, `critical`", name.value);
            self.findings.add(name.span, Code::BadValue, message);
        }
        severity
    }

    fn risk_score(&mut self) -> Option<u8> {
        if !self.rule.has("risk_score") {
            self.findings
                .add(self.rule.span, Code::MissingKey, "`risk_score` is missing in `[rule]`");
        }
        let score = self.rule.integer("risk_score", self.findings)?;
        let risk_score = u8::try_from(score.value).ok().filter(|score| *score <= 100);
        if risk_score.is_none() {
            self.findings
                .add(score.span, Code::BadValue, "`risk_score` must be between 0 and 100");
        }
        risk_score
    }

    fn categories(&mut self) -> Categories {
        if !self.rule.has("index") {
            return Categories::ALL;
        }
        let index = self.rule.texts("index", self.findings);
        let patterns: Vec<String> = index.iter().map(|pattern| pattern.value.to_owned()).collect();
        let categories = Categories::read_by(&patterns, self.options.producer().streams());
        if let Some(first) = index.first()
            && !self.options.producer().makes(categories)
        {
            let message = "no source here produces events of the rule's `index` patterns";
            self.findings
                .add(first.span, Code::IndexWithoutSource, message)
                .help(format!(
                    "events here are in {}",
                    listed(&self.options.producer().stream_names())
                ));
        }
        categories
    }

    fn warn_of_cost(&mut self, detection: &Detection) {
        let place = self.rule.has_content("query").unwrap_or(self.rule.span);
        let conditions = detection.conditions().into_iter();
        let cost = |condition| cost::of_condition(self.options.schema(), condition);
        if let Some(message) = conditions.filter_map(cost).next() {
            self.findings.add(place, Code::Costly, message);
        }
    }

    /// Warns of an event query for a category that the index patterns leave out.
    fn compare_categories(&mut self, detection: &Detection, categories: Categories) {
        if !self.options.producer().makes(categories) {
            return;
        }
        if category::asks_for_others(detection, categories)
            && let Some(index) = self.rule.has_content("index")
        {
            let message = "the rule can never match: its `index` patterns leave out the category of its events";
            self.findings.add(index, Code::NeverMatches, message);
        }
    }

    /// What an event that satisfies the query leads to, by the rule's type.
    fn then(&mut self, rule_type: RuleType, learn_for_ms: Option<i64>) -> Option<Then> {
        match rule_type {
            RuleType::Eql | RuleType::Query => Some(Then::Alert),
            RuleType::NewTerms => self.new_terms(learn_for_ms).map(Then::NewTerms),
            RuleType::Threshold => self.threshold().map(Then::Threshold),
        }
    }

    fn query(&mut self, rule_type: RuleType) -> Option<Detection> {
        let language = self.rule.text("language", self.findings);
        let parse = match (rule_type, language.map(|language| language.value)) {
            (RuleType::Eql, Some("eql") | None) => eql::parse,
            (RuleType::Query | RuleType::NewTerms | RuleType::Threshold, Some("kuery") | None) => parse_kql,
            (_, Some(other)) => {
                let message = format!("rules of type `{}` in `{other}` are not supported", rule_type.as_str());
                self.findings.add(
                    language.map_or(self.rule.span, |l| l.span),
                    Code::UnsupportedLanguage,
                    message,
                );
                return None;
            }
        };
        let query = self.required("query")?;
        let mut found = Findings::default();
        let detection = parse(self.options, query.value, &mut found);
        let source = &self.text[query.span.start as usize..query.span.end as usize];
        let at = |offset: u32| query.span.start + query_position::offset_in_source(source, offset as usize) as u32;
        self.findings.absorb(found, |span| Span {
            start: at(span.start),
            end: at(span.end),
        });
        detection
    }

    /// The engine's own table of the file, so an unknown key in it is a mistake.
    fn learn_for(&mut self, own: Table<'a>, rule_type: RuleType) -> Option<i64> {
        let known = ["learn_for", "every_event", "examples"];
        for key in own.keys().filter(|key| !known.contains(&key.value)) {
            self.findings.add(
                key.span,
                Code::UnknownKey,
                format!("unknown key `{}` in `[{}]`", key.value, own.name),
            );
        }
        let learn_for = own.text("learn_for", self.findings)?;
        if rule_type != RuleType::NewTerms {
            self.findings
                .add(learn_for.span, Code::BadValue, "only rules of type `new_terms` learn");
        }
        let length = duration::parse(learn_for.value);
        if length.is_none() {
            self.not_a_duration(learn_for, "`1h`");
        }
        length
    }

    fn not_a_duration(&mut self, text: Located<&str>, example: &str) {
        let message = format!("`{}` is not a length of time such as {example}", text.value);
        self.findings
            .add(text.span, Code::BadValue, message)
            .help("units are `s`, `m`, `h`, `d` and `w`");
    }

    /// `[rule.new_terms]` with `field = "new_terms_fields"` and `[[rule.new_terms.history_window_start]]`, or in the flat
    /// form `new_terms_fields` and `history_window_start`.
    fn new_terms(&mut self, learn_for_ms: Option<i64>) -> Option<NewTerms> {
        let is_flat = self.rule.has("new_terms_fields");
        let table = if is_flat {
            Some(self.rule)
        } else {
            self.rule.table("new_terms", self.findings)
        };
        let Some(table) = table else {
            self.findings
                .add(self.rule.span, Code::MissingKey, "`[rule.new_terms]` is missing");
            return None;
        };
        let names = table.texts(if is_flat { "new_terms_fields" } else { "value" }, self.findings);
        if names.is_empty() || names.len() > MAX_NEW_TERMS_FIELDS {
            let message = format!("`value` in `[rule.new_terms]` must name 1 to {MAX_NEW_TERMS_FIELDS} fields");
            self.findings.add(table.span, Code::BadValue, message);
        }
        let fields: Vec<FieldReference> = names.into_iter().filter_map(|name| self.needed_field(name)).collect();
        let start = if is_flat {
            table.text("history_window_start", self.findings)
        } else {
            let starts = table.tables("history_window_start", self.findings);
            starts.first().and_then(|start| start.text("value", self.findings))
        };
        let Some(start) = start else {
            let message = "`[[rule.new_terms.history_window_start]]` with a `value` is missing";
            self.findings.add(table.span, Code::MissingKey, message);
            return None;
        };
        let window_ms = duration::parse_look_back(start.value);
        if window_ms.is_none() {
            self.not_a_duration(start, "`now-14d`");
        }
        Some(NewTerms {
            fields,
            window_ms: window_ms?,
            learn_for_ms,
        })
    }

    /// `[rule.threshold]` with `field`, `value` and `[[rule.threshold.cardinality]]`; its window is the rule's `from`.
    fn threshold(&mut self) -> Option<Threshold> {
        let Some(table) = self.rule.table("threshold", self.findings) else {
            self.findings
                .add(self.rule.span, Code::MissingKey, "`[rule.threshold]` is missing");
            return None;
        };
        let fields: Vec<KeyField> = table
            .text_or_texts("field", self.findings)
            .into_iter()
            .filter_map(|name| self.needed_field(name))
            .map(|field| KeyField {
                field: Some(field),
                missing: MissingKey::Excludes,
            })
            .collect();
        let events = self.threshold_value(table);
        let cardinalities = table.tables("cardinality", self.findings);
        if let Some(second) = cardinalities.get(1) {
            self.findings.add(
                second.span,
                Code::UnsupportedKey,
                "more than one `cardinality` is not supported",
            );
        }
        let cardinality = cardinalities.first().map(|cardinality| self.cardinality(*cardinality));
        let window_ms = match self.rule.text("from", self.findings) {
            None => Some(DEFAULT_LOOK_BACK_MS),
            Some(from) => {
                let window = duration::parse_look_back(from.value);
                if window.is_none() {
                    self.not_a_duration(from, "`now-9m`");
                }
                window
            }
        };
        let cardinality = match cardinality {
            Some(cardinality) => Some(cardinality?),
            None => None,
        };
        Some(Threshold {
            fields,
            events: events?,
            cardinality,
            window_ns: window_ms?.checked_mul(1_000_000)?,
        })
    }

    /// A field of which an event must have a value to count.
    fn needed_field(&mut self, name: Located<&str>) -> Option<FieldReference> {
        let field = FieldReference::check(self.options.schema(), name.value, name.span, self.findings)?;
        satisfiable::warn_of_missing(self.options.producer(), &field, name.span, self.findings);
        Some(field)
    }

    fn cardinality(&mut self, table: Table<'a>) -> Option<Cardinality> {
        let values = self.threshold_value(table);
        let Some(name) = table.text("field", self.findings) else {
            self.findings
                .add(table.span, Code::MissingKey, "`cardinality` needs a `field`");
            return None;
        };
        let field = self.needed_field(name)?;
        Some(Cardinality { field, values: values? })
    }

    fn threshold_value(&mut self, table: Table<'a>) -> Option<usize> {
        let most = self.options.limits().threshold;
        let value = table.integer("value", self.findings);
        match value {
            Some(value) if (1..=most as i64).contains(&value.value) => Some(value.value as usize),
            _ => {
                let message = format!("`value` in `[{}]` must be a number from 1 to {most}", table.name);
                self.findings
                    .add(value.map_or(table.span, |value| value.span), Code::BadValue, message);
                None
            }
        }
    }
}
