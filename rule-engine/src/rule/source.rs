//! The rule file's keys: which are needed, which change what the rule means, which are only passed on.

use serde_json::Value as Json;
use toml::de::DeTable;

use super::table::{Located, Table, span};
use super::{
    CheckedRule, RuleInfo, RuleSeverity, RuleType, alert_limits, examples, exceptions, keys, overrides, own_fields,
    query_position,
};
use crate::analysis::{category, cost, satisfiable};
use crate::condition::{Detection, Then};
use crate::diagnostic::{Code, Findings, Span};
use crate::language::{ParseOptions, eql, kql};
use crate::record::streams::{Categories, IndexPatterns};
use crate::schema::{FieldReference, FieldType, fields};
use crate::value::duration;

mod then;

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
    keys::check_file(file, options.own_table(), findings);
    let own = file.table(options.own_table(), findings);
    let with_own_fields = own.and_then(|own| own_fields::read(options, own, findings));
    let options = with_own_fields.as_ref().unwrap_or(options);
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
        Some(known) => read_rule.rule = reader.checked_rule(own, &read_rule, known),
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
    fn checked_rule(
        &mut self,
        own: Option<Table<'a>>,
        read_rule: &ReadRule,
        rule_type: RuleType,
    ) -> Option<CheckedRule> {
        keys::check_rule(self.rule, rule_type, self.findings);
        let query = self.query(rule_type);
        let learn_for_ms = own.and_then(|table| self.learn_for(table, rule_type));
        let examples = own
            .map(|table| examples::read(self.options.schema(), table, self.findings))
            .unwrap_or_default();
        let then = self.then(rule_type, learn_for_ms);
        let index = self.index();
        let categories = self.categories(&index);
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
        let overrides = overrides::read(self.options.schema(), self.rule, self.findings);
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
                overrides,
            },
            warnings: Vec::new(),
            line: 1,
            schema: self.options.schema().clone(),
            index,
            categories,
            filter: filter?,
            limits: limits?,
            detection,
        })
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
        RuleSeverity::check(name, self.findings)
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

    fn index(&mut self) -> IndexPatterns {
        if self.rule.has_content("index").is_none() {
            return IndexPatterns::default();
        }
        let index = self.rule.texts("index", self.findings);
        IndexPatterns::new(index.iter().map(|pattern| pattern.value))
    }

    fn categories(&mut self, index: &IndexPatterns) -> Categories {
        let categories = Categories::read_by(index, self.options.producer().streams());
        if let Some(place) = self.rule.has_content("index")
            && !self.options.producer().makes(categories)
        {
            let message = "no source here produces events of the rule's `index` patterns";
            self.findings
                .add(place, Code::IndexWithoutSource, message)
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

    /// What the category before `where` is compared with.
    fn category_field(&mut self) -> Option<FieldReference> {
        let schema = self.options.schema();
        match self.rule.text("event_category_override", self.findings) {
            Some(name) if !name.value.is_empty() => {
                let field = FieldReference::check(schema, name.value, name.span, self.findings)?;
                if field.value_type != FieldType::Keyword {
                    let message = format!("`{}` holds no names of categories", name.value);
                    self.findings.add(name.span, Code::BadValue, message);
                    return None;
                }
                Some(field)
            }
            _ => Some(FieldReference::new(schema, fields::EVENT_CATEGORY)),
        }
    }

    fn query(&mut self, rule_type: RuleType) -> Option<Detection> {
        let category = self.category_field();
        let parse_eql =
            |options: &_, query: &_, findings: &mut _| eql::parse(options, category.as_ref()?, query, findings);
        let language = self.rule.text("language", self.findings);
        let parse: &dyn Fn(&ParseOptions, &str, &mut Findings) -> Option<Detection> =
            match (rule_type, language.map(|language| language.value)) {
                (RuleType::Eql, Some("eql") | None) => &parse_eql,
                (RuleType::Query | RuleType::NewTerms | RuleType::Threshold, Some("kuery") | None) => &parse_kql,
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
        keys::check_table(own, &["every_event", "examples", "learn_for", "schema"], self.findings);
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
}
