//! The document in a line of a file: as it stands there, or in what Elasticsearch's interfaces put around it.
//!
//! A search hit holds it as `_source` or, as lists of values by dotted names, as `fields`; the lines of a bulk request
//! tell what to do with the next one, or hold it as `doc` or `upsert`. An object that has any other key beside these is
//! a document itself. The way of a plain document ends at its first key.

/// What a line holds.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Envelope<'a> {
    /// This text, which need not be JSON.
    Document(&'a str),
    /// What to do with the next line, or a change without a document.
    Action,
    /// No document, for this reason.
    Unusable(&'static str),
}

impl<'a> Envelope<'a> {
    /// What the line holds. Byte order marks and the separators of JSON text sequences before it are passed over.
    pub fn open(line: &'a str) -> Envelope<'a> {
        let text = line.trim_start_matches(['\u{feff}', '\u{1e}', ' ', '\t', '\r', '\n']);
        if text.starts_with('[') {
            return Envelope::Unusable("it is a list: `jq -c '.[]'` makes lines of its elements");
        }
        match members(text) {
            Some(members) => open_members(text, &members),
            None => Envelope::Document(text),
        }
    }
}

fn open_members<'a>(text: &'a str, members: &[(&'a str, &'a str)]) -> Envelope<'a> {
    let object = |name: &str| {
        let is_it = |(key, value): &&(&str, &str)| *key == name && value.starts_with('{');
        members.iter().find(is_it).map(|(_, value)| *value)
    };
    let is_filled = |object: &&str| !object[1..].trim_start().starts_with('}');
    if object("hits").is_some() {
        return Envelope::Unusable("it is a whole search response: `jq -c '.hits.hits[]'` makes lines of its hits");
    }
    let of_hit = || object("_source").filter(is_filled).or_else(|| object("fields"));
    if let Some(document) = of_hit().or_else(|| object("_source")) {
        return Envelope::Document(document);
    }
    if let Some(document) = object("doc").or_else(|| object("upsert")) {
        return Envelope::Document(document);
    }
    match members {
        [(action, value)] if ACTIONS.contains(action) && value.starts_with('{') => Envelope::Action,
        _ if members.iter().any(|(key, _)| *key == "script") => Envelope::Action,
        _ if members.iter().any(|(key, _)| *key == "_id") => {
            Envelope::Unusable("it is a search hit without `_source` and `fields`: have the search return one of them")
        }
        _ => Envelope::Document(text),
    }
}

const ACTIONS: [&str; 4] = ["create", "delete", "index", "update"];

/// Whether an envelope has such a member.
fn is_of_envelope(key: &str) -> bool {
    const OF_HITS: [&str; 8] = [
        "fields",
        "found",
        "highlight",
        "ignored_field_values",
        "inner_hits",
        "matched_queries",
        "sort",
        "took",
    ];
    const OF_UPDATES: [&str; 6] = [
        "detect_noop",
        "doc",
        "doc_as_upsert",
        "script",
        "scripted_upsert",
        "upsert",
    ];
    const OF_RESPONSES: [&str; 9] = [
        "aggregations",
        "hits",
        "num_reduced_phases",
        "pit_id",
        "profile",
        "suggest",
        "terminated_early",
        "timed_out",
        "took",
    ];
    key.starts_with('_')
        || ACTIONS.contains(&key)
        || OF_HITS.contains(&key)
        || OF_UPDATES.contains(&key)
        || OF_RESPONSES.contains(&key)
}

/// The keys and values of an object, each value as it is written; `None` if it has members that no envelope has, or is
/// no object.
fn members(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut members = Vec::new();
    scanner.expect(b'{')?;
    loop {
        let key = scanner.value()?.strip_prefix('"')?.strip_suffix('"')?;
        if !is_of_envelope(key) {
            return None;
        }
        scanner.expect(b':')?;
        members.push((key, scanner.value()?));
        if scanner.expect(b',').is_none() {
            break;
        }
    }
    scanner.expect(b'}')?;
    scanner.space();
    (scanner.at == text.len()).then_some(members)
}

/// Finds where values end; whether they are JSON is seen by whoever reads them.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Passes over space and this byte, if it is what follows.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes over space and a value.
    fn value(&mut self) -> Option<&'a str> {
        self.space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ if depth == 0 => {
                    self.bare();
                    break;
                }
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        (self.at > start).then(|| &self.text[start..self.at])
    }

    /// From the beginning of a string to its last byte.
    fn string(&mut self) -> Option<()> {
        loop {
            self.at += 1;
            match self.peek()? {
                b'"' => return Some(()),
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }

    /// To the end of a number or a word.
    fn bare(&mut self) {
        while self
            .peek()
            .is_some_and(|byte| !byte.is_ascii_whitespace() && !b",:}]".contains(&byte))
        {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn a_document_is_found_in_what_is_put_around_it() {
        let document = r#"{"process": {"name": "a\"}{\\", "args": ["]", 1.5e3, null, true]}}"#;
        for line in [
            "DOC",
            "\u{feff}DOC",
            "\u{1e}DOC\r",
            " \t DOC ",
            r#"{"_source":DOC}"#,
            r#"{"_index":".ds-x","_id":"1","_score":null,"_source":DOC,"sort":[1,"a"]}"#,
            r#"{ "_id" : "1" , "found" : true , "_source" : DOC }"#,
            r#"{"_source":DOC,"fields":{"process.name":["other"]},"highlight":{"a":["b"]}}"#,
            r#"{"_source":{ },"_id":"1","fields":DOC}"#,
            r#"{"fields":DOC}"#,
            r#"{"_index":"a","_id":"}\\\"","fields":DOC,"ignored_field_values":{"a":["b"]}}"#,
            r#"{"doc":DOC,"doc_as_upsert":true}"#,
            r#"{"script":{"source":"x"},"upsert":DOC}"#,
        ] {
            let line = line.replace("DOC", document);
            let Envelope::Document(found) = Envelope::open(&line) else {
                panic!("no document in {line}")
            };
            assert_eq!(found.trim(), document, "{line}");
        }
    }

    #[test]
    fn an_object_with_a_key_of_its_own_is_a_document() {
        for line in [
            r#"{"@timestamp":"2026-01-01T00:00:00Z","fields":{"env":"a"}}"#,
            r#"{"fields":{"env":"a"},"@timestamp":"2026-01-01T00:00:00Z"}"#,
            r#"{"_source":{"a":1},"process":{"name":"a"}}"#,
            r#"{"_source":1}"#,
            r#"{"index":"a"}"#,
            r#"{"index":{},"create":{}}"#,
            r#"{"hits":3}"#,
            "{}",
            "{",
            "}",
            "",
            "1",
            r#"{"_source":{"a":1}"#,
            r#"{"_source":{"a":1}} {}"#,
            r#"{"_source":{"a":1},}"#,
            r#"{"_source":"#,
            r#"{"_source":"\"#,
        ] {
            assert_eq!(Envelope::open(line), Envelope::Document(line));
        }
    }

    #[test]
    fn lines_of_bulk_requests_are_actions() {
        for line in [
            r#"{"index":{}}"#,
            r#"{"create":{"_index":"a","_id":"1"}}"#,
            r#"{ "delete" : { "_id" : "1" } }"#,
            r#"{"update":{"_id":"1","retry_on_conflict":3}}"#,
            r#"{"script":{"source":"x"}}"#,
        ] {
            assert_eq!(Envelope::open(line), Envelope::Action, "{line}");
        }
    }

    #[test]
    fn what_holds_many_documents_or_none_says_what_to_do() {
        for (line, what) in [
            (r#"[{"process":{}}]"#, "jq -c '.[]'"),
            ("[", "jq -c '.[]'"),
            (
                r#"{"took":1,"timed_out":false,"_shards":{},"hits":{"hits":[{"_source":{}}]}}"#,
                "'.hits.hits[]'",
            ),
            (r#"{"_scroll_id":"a","hits":{"hits":[]}}"#, "'.hits.hits[]'"),
            (r#"{"_index":"a","_id":"1","_score":1.0}"#, "without `_source`"),
        ] {
            let found = Envelope::open(line);
            assert!(
                matches!(found, Envelope::Unusable(reason) if reason.contains(what)),
                "{line}: {found:?}"
            );
        }
    }

    fn json() -> impl Strategy<Value = Json> {
        let scalar = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[a\"\\\\{}\\[\\],: \u{e9}\n]{0,6}".prop_map(Json::from),
        ];
        let key = "_source|fields|index|doc|a|[\"\\\\{}:,]{1,3}";
        scalar.prop_recursive(4, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|object| Json::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn of_any_hit_the_source_is_the_document(value in json(), before in json(), behind in json(), is_pretty: bool) {
            let source = json!({ "process": value });
            let hit = json!({ "_id": before, "_source": source, "sort": behind });
            let line = if is_pretty { serde_json::to_string_pretty(&hit) } else { serde_json::to_string(&hit) };
            let line = line.expect("JSON can be written");
            let Envelope::Document(found) = Envelope::open(&line) else {
                panic!("no document in {line}")
            };
            prop_assert_eq!(serde_json::from_str::<Json>(found).expect("a document"), source);
        }

        #[test]
        fn any_text_is_opened(text in "(\\PC|[{}\\[\\]\":,\\\\_]|_source|doc|fields|index){0,30}") {
            Envelope::open(&text);
        }
    }
}
