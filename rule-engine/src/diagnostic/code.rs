//! Every code that a finding can have, with its severity and what helps against it: one table, which
//! `docs/diagnostics.md` repeats for people.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Severity;

/// Declares [`Code`]: for each variant its name, its severity and, unless there is nothing general to say, its help.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $severity:ident $(, $help:literal)?;)*) => {
        /// What kind of finding a [`Diagnostic`](super::Diagnostic) is. Its name is stable: scripts may rely on it.
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$code),*];

            /// The name, such as `unknown-field`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)*
                }
            }

            /// How bad a finding of this kind is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$code => Severity::$severity,)*
                }
            }

            /// What helps where the finding itself says nothing more precise.
            pub fn help(self) -> Option<&'static str> {
                match self {
                    $(Code::$code => [$($help)?].first().copied(),)*
                }
            }
        }
    };
}

codes! {
    /// An example lacks a key, or its event does not fit the schema.
    BadExample = "bad-example", Error,
        "an example has a `name`, `expect` (`match` or `no-match`) and `events`, a list of ECS documents";
    /// A key has a value that it cannot have, such as a severity that there is none of.
    BadValue = "bad-value", Error, "see docs/rules.md for the values that this key takes";
    /// Both sides of a comparison are values.
    Constant = "constant", Error, "compare a field with a value; a constant condition can be left out";
    /// The rule names nothing that few events have, so that it has to search text of every event.
    Costly = "costly", Warning, "put a test beside it that few events pass, such as one of `process.name`";
    /// The rule names a list of exceptions, and its items are not there.
    ExceptionsNotInFile = "exceptions-not-in-file", Error,
        "write the list's items into the file as `entries`, or export the rule with its exceptions";
    /// A field is compared with another field by an operator.
    FieldComparison = "field-comparison", Error,
        "a field is compared with a value; functions such as `startsWith~(a, b)` take fields on both sides";
    /// The name is that of a group, which has no value of its own.
    FieldGroup = "field-group", Error, "name one of the fields below it";
    /// The rule file, or the file of exported rules, is longer than its limit.
    FileTooLong = "file-too-long", Error, "one file holds one rule; split it";
    /// A function is called with too few or too many arguments, or with ones of another kind.
    FunctionArguments = "function-arguments", Error, "see docs/rules.md for what each function takes";
    /// The rule reads indices of events that the producer does not make.
    IndexWithoutSource = "index-without-source", Warning, "name the data streams that events here are in";
    /// A line of exported rules is no JSON object.
    Json = "json", Error, "each line is one JSON object, as Kibana exports them";
    /// A list has more values than its limit.
    ListTooLong = "list-too-long", Error, "use patterns with `*`, or split the rule";
    /// The query is empty.
    MatchesEverything = "matches-everything", Warning, "write what the rule is to look for";
    /// A key is missing that each rule, or a rule of this type, needs.
    MissingKey = "missing-key", Error, "add the key to the table `[rule]`";
    /// A sequence asks for an event to be missing and sets no time for it.
    MissingWithoutMaxspan = "missing-without-maxspan", Error, "add `with maxspan=T`, such as `with maxspan=5m`";
    /// The rule has more findings than are kept; the rest is counted here.
    MoreFindings = "more-findings", Warning;
    /// A nested exception on a field that may hold several objects: its entries are held against all of them together.
    NestedObjects = "nested-objects", Warning,
        "if the parts have to be of one object, test a field that only this object has";
    /// KQL's `field:{ .. }`.
    NestedQuery = "nested-query", Error, "name the fields below it with their whole names";
    /// Parentheses, lists and `not` stand deeper than their limit.
    Nesting = "nesting", Error, "take parentheses out, or split the rule";
    /// The rule, or a part of it, can match no event of the producer; the message says why.
    NeverMatches = "never-matches", Warning, "take the part out, or keep it for events of other producers";
    /// A key has no effect on a rule of this kind.
    NoEffect = "no-effect", Warning, "take the key out";
    /// The file of exported rules holds none.
    NoRules = "no-rules", Error,
        "a file of exported rules has one JSON document a line, each a rule or an exception item";
    /// A value stands where something true or false is needed.
    NotACondition = "not-a-condition", Error, "compare it: `field == \"value\"`";
    /// Something else stands where a field's name is needed.
    NotAField = "not-a-field", Error, "write a field's name, such as `process.entity_id`";
    /// A number does not fit into 64 bits.
    NumberTooLarge = "number-too-large", Error, "whole numbers have 64 bits";
    /// A wildcard pattern is longer than its limit.
    PatternTooLong = "pattern-too-long", Error, "use a shorter part of it between `*`";
    /// EQL's pipes, which have no meaning on a stream.
    Pipe = "pipe", Error, "events come without end here, so nothing can be counted behind them; use a threshold rule";
    /// The query is longer than its limit.
    QueryTooLong = "query-too-long", Error, "split the rule";
    /// A range is compared with a pattern.
    RangeWildcard = "range-wildcard", Error, "a range is compared with one value: `process.pid > 100`";
    /// A regular expression is none in Lucene's dialect.
    Regex = "regex", Error, "the dialect is Lucene's; a backslash takes a character's meaning away";
    /// A regular expression needs too large an automaton.
    RegexTooLarge = "regex-too-large", Error, "use lower counts in `{n,m}`, or several shorter patterns";
    /// EQL's `sample`, which has no meaning on a stream.
    Sample = "sample", Error, "write `sequence by` for events in an order, or a threshold rule for a number of them";
    /// The events of a sequence have different numbers of keys.
    SequenceKeys = "sequence-keys", Error, "give each event in brackets as many fields behind `by`";
    /// A sequence asks for more events than its limit.
    SequenceTooLong = "sequence-too-long", Error, "use fewer events, or a lower `runs`";
    /// `=` instead of `==`.
    SingleEquals = "single-equals", Error, "write `==`";
    /// `'text'` instead of `"text"`.
    SingleQuotes = "single-quotes", Error, "write double quotes";
    /// The query does not follow the language's grammar.
    Syntax = "syntax", Error, "see docs/rules.md, or Elastic's reference of the rule's language";
    /// The file is no TOML.
    Toml = "toml", Error, "the file has to be TOML: https://toml.io";
    /// A wildcard in field names, or a value without a field, stands for too many tests.
    TooManyFields = "too-many-fields", Error, "name fewer fields, or a wildcard that means fewer";
    /// A field is compared with a value of a type that it never has.
    TypeMismatch = "type-mismatch", Error, "write a value of the field's type";
    /// A comment has no end.
    UnclosedComment = "unclosed-comment", Error, "end the comment with `*/`";
    /// A name in backticks has no end.
    UnclosedName = "unclosed-name", Error, "end the name with a backtick";
    /// A text has no closing quotes.
    UnclosedText = "unclosed-text", Error, "end the text with the quotes that it begins with";
    /// In KQL: the schema does not have the field, so no event does.
    UndeclaredField = "undeclared-field", Warning, "name a field that is known here, or one below `labels.`";
    /// A character that the language has no use for.
    UnexpectedCharacter = "unexpected-character", Error,
        "put text into double quotes, and names with unusual characters into backticks";
    /// A backslash before a character that it means nothing with.
    UnknownEscape = "unknown-escape", Error,
        "write `\\\\` for a backslash, or the text between three double quotes, where it means nothing";
    /// The schema does not have the field.
    UnknownField = "unknown-field", Error, "write `?` before the name if the field may be missing from the schema";
    /// There is no such function.
    UnknownFunction = "unknown-function", Error, "see docs/rules.md for the functions that there are";
    /// A table of the rule file has no such key.
    UnknownKey = "unknown-key", Error, "take it out, or see docs/rules.md for the keys that there are";
    /// There is no such type of rule.
    UnknownType = "unknown-type", Error, "types that run are `eql`, `query`, `new_terms` and `threshold`";
    /// An exception of a type that is not understood, such as a list of values kept in Elasticsearch.
    UnsupportedException = "unsupported-exception", Error,
        "write what it excludes with entries of the types that docs/rules.md names";
    /// A filter that is no test of fields.
    UnsupportedFilter = "unsupported-filter", Error, "write it into the query";
    /// A key that changes what the rule means, and that is not understood.
    UnsupportedKey = "unsupported-key", Error, "take it out if the rule means the same without it";
    /// A language other than EQL and KQL.
    UnsupportedLanguage = "unsupported-language", Error, "languages that run are `eql` and `kuery`";
    /// A type of rule that needs Elasticsearch.
    UnsupportedType = "unsupported-type", Error,
        "types that run are `eql`, `query`, `new_terms` and `threshold`; the others need Elasticsearch";
    /// A key has a value of another type.
    WrongType = "wrong-type", Error, "see docs/rules.md for what the key takes";

    // Of a set of rule files: for callers that read or test a set. Parsing a rule never gives them.
    /// Another file has a rule with the same id; the first one runs.
    DuplicateRuleId = "duplicate-rule-id", Error, "give this rule an id of its own, or leave one of the two out";
    /// An example was decided otherwise than it says.
    ExampleFailed = "example-failed", Error;
    /// The rule has no examples.
    NoExamples = "no-examples", Warning;
    /// Another rule looks for the same.
    SameCondition = "same-condition", Warning, "leave one of the two out";
    /// The file cannot be read, is too long, or is no UTF-8.
    UnreadableFile = "unreadable-file", Error;
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
