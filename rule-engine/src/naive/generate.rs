//! Queries and events, made up: few letters and small numbers, so that much of it meets.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::compute::Expression;
use super::query::{Query, Test};
use super::regex::Regex;
use super::{ADDRESSES, DATES, Language, Letters, NETWORKS, Value};

const TEXT_FIELDS: [&str; 11] = [
    "acme.team",
    "acme.team.caseless",
    "process.name",
    "process.args",
    "process.parent.name",
    "process.title",
    "process.name.caseless",
    "process.name.text",
    "`process.args`",
    "container.labels.team",
    "container.labels",
];
const LONG_FIELDS: [&str; 3] = ["process.pid", "process.args_count", "acme.count"];
const FLOAT_FIELD: &str = "host.cpu.usage";
const BOOLEAN_FIELD: &str = "process.interactive";
const DATE_FIELD: &str = "process.start";
const ADDRESS_FIELD: &str = "source.ip";
const ORDERS: [&str; 4] = ["<", "<=", ">", ">="];

fn one_of<T: Clone + std::fmt::Debug + 'static>(choices: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(choices.to_vec())
}

fn letters(language: Language) -> BoxedStrategy<Letters> {
    match language {
        Language::Eql => one_of(&[Letters::Exact, Letters::AnyCase]).boxed(),
        Language::Kql => Just(Letters::Exact).boxed(),
    }
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-3..4_i64).prop_map(Value::Whole),
        1 => (-6..7_i64).prop_map(|half| Value::Real(half as f64 / 2.0)),
    ]
}

fn few<T: std::fmt::Debug>(element: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(element, 1..4)
}

fn regex() -> impl Strategy<Value = Regex> {
    let character = || one_of(&['a', 'A', 'b', 'é', '1', '.']);
    let range = one_of(&[('a', 'a'), ('A', 'b'), ('a', 'b'), ('1', '3'), ('é', 'é')]);
    let leaf = prop_oneof![
        4 => character().prop_map(Regex::Character),
        2 => Just(Regex::AnyCharacter),
        1 => Just(Regex::AnyText),
        1 => Just(Regex::Empty),
        1 => Just(Regex::Nothing),
        1 => "[aA.&~1]{0,3}".prop_map(Regex::Quoted),
        2 => (few(range), any::<bool>()).prop_map(|(ranges, negated)| Regex::Class(ranges, negated)),
        1 => ("[0-3]{1,2}", "[0-3]{1,2}").prop_map(|(from, to)| Regex::Interval(from, to)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 1..4);
        let counts = (0..3_usize, prop::option::of(0..3_usize));
        prop_oneof![
            4 => parts().prop_map(Regex::Sequence),
            2 => parts().prop_map(Regex::Choice),
            1 => parts().prop_map(Regex::Both),
            1 => inner.clone().prop_map(|part| Regex::Not(Box::new(part))),
            2 => (inner, counts).prop_map(|(part, (least, more))| {
                Regex::Repeat(Box::new(part), least, more.map(|more| least + more))
            }),
        ]
    })
}

/// Functions that give texts and numbers, of each other.
fn expressions() -> (BoxedStrategy<Expression>, BoxedStrategy<Expression>) {
    let text_leaf = prop_oneof![
        3 => one_of(&["process.name", "process.name.caseless", "process.args", "process.parent.name", "source.ip", "acme.team", "?no.such.field"]).prop_map(Expression::Field),
        1 => "[aAb1.é]{0,3}".prop_map(Expression::Text),
    ];
    let number_leaf = prop_oneof![
        3 => one_of(&["process.pid", "process.args_count", "acme.count", FLOAT_FIELD]).prop_map(Expression::Field),
        1 => number().prop_map(Expression::Number),
        1 => one_of(&[0, 1, 10, 16]).prop_map(|number| Expression::Number(Value::Whole(number))),
    ];
    let mut text = text_leaf.boxed();
    let mut number = number_leaf.boxed();
    for _ in 0..2 {
        let (next_text, next_number) = (deeper_text(&text, &number), deeper_number(&text, &number));
        text = prop_oneof![1 => text, 2 => next_text].boxed();
        number = prop_oneof![1 => number, 2 => next_number].boxed();
    }
    (text, number)
}

fn maybe_null(expression: &BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    prop_oneof![12 => expression.clone(), 1 => Just(Expression::Null)].boxed()
}

fn call(
    name: &'static str,
    letters: BoxedStrategy<Letters>,
    arguments: Vec<BoxedStrategy<Expression>>,
) -> BoxedStrategy<Expression> {
    (letters, arguments)
        .prop_map(move |(letters, arguments)| Expression::Call(name, letters, arguments))
        .boxed()
}

fn exact() -> BoxedStrategy<Letters> {
    Just(Letters::Exact).boxed()
}

fn deeper_text(text: &BoxedStrategy<Expression>, number: &BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    let (t, n) = (maybe_null(text), maybe_null(number));
    let truth = any::<bool>().prop_map(Expression::Boolean).boxed();
    let any_case = || letters(Language::Eql);
    prop_oneof![
        call("concat", exact(), vec![t.clone(), n.clone(), truth.clone()]),
        call("string", exact(), vec![n.clone()]),
        call("substring", exact(), vec![t.clone(), n.clone()]),
        call("substring", exact(), vec![t.clone(), n.clone(), n]),
        call("between", any_case(), vec![t.clone(), t.clone(), t.clone()]),
        call("between", any_case(), vec![t.clone(), t.clone(), t, truth]),
    ]
    .boxed()
}

fn deeper_number(text: &BoxedStrategy<Expression>, number: &BoxedStrategy<Expression>) -> BoxedStrategy<Expression> {
    let (t, n) = (maybe_null(text), maybe_null(number));
    let arithmetic = (one_of(&['+', '-', '*', '/', '%']), number.clone(), number.clone())
        .prop_map(|(sign, one, other)| Expression::Arithmetic(sign, Box::new(one), Box::new(other)));
    let named = one_of(&["add", "subtract", "multiply", "divide", "modulo"]);
    prop_oneof![
        2 => arithmetic,
        1 => (named, n.clone(), n.clone()).prop_map(|(name, a, b)| Expression::Call(name, Letters::Exact, vec![a, b])),
        1 => call("length", exact(), vec![t.clone()]),
        1 => call("indexOf", letters(Language::Eql), vec![t.clone(), t.clone()]),
        1 => call("indexOf", letters(Language::Eql), vec![t.clone(), t.clone(), n.clone()]),
        1 => call("number", exact(), vec![t.clone()]),
        1 => call("number", exact(), vec![t, n]),
    ]
    .boxed()
}

fn truths() -> BoxedStrategy<Expression> {
    let (text, _) = expressions();
    let name = one_of(&["startsWith", "endsWith", "stringContains"]);
    let network = one_of(&NETWORKS).prop_map(|network| Expression::Text(network.to_owned()));
    let search = (name, letters(Language::Eql), text.clone(), text.clone())
        .prop_map(|(name, letters, one, other)| Expression::Call(name, letters, vec![one, other]));
    let within = (text, network)
        .prop_map(|(address, network)| Expression::Call("cidrMatch", Letters::Exact, vec![address, network]));
    prop_oneof![3 => search, 1 => within].boxed()
}

fn computed() -> impl Strategy<Value = Query> {
    let (text, number_of) = expressions();
    let query = |(expression, test)| Query::Computed(expression, test);
    prop_oneof![
        (text, text_test(Language::Eql)).prop_map(query),
        (number_of, number_test()).prop_map(query),
        (truths(), any::<bool>().prop_map(Test::Boolean)).prop_map(query),
    ]
    .prop_filter("a constant is no operand", |query| match query {
        Query::Computed(expression, _) => expression.has_field() && !matches!(expression, Expression::Field(_)),
        _ => false,
    })
}

fn text_test(language: Language) -> BoxedStrategy<Test> {
    let pattern = match language {
        Language::Eql => "[aAbé1*?]{1,4}",
        Language::Kql => "[aAbé1*]{1,4}",
    };
    let text = "[aAbé1]{0,3}";
    let common = prop_oneof![
        1 => Just(Test::Exists),
        3 => (few(text), letters(language)).prop_map(|(texts, letters)| Test::TextIn(texts, letters)),
        3 => (few(pattern), letters(language)).prop_map(|(patterns, letters)| Test::Like(patterns, letters)),
    ];
    let order = (one_of(&ORDERS), "[aAb]{1,2}").prop_map(|(order, text)| Test::Order(order, Value::Text(text)));
    match language {
        Language::Eql => {
            let regexes = prop::collection::vec(regex(), 1..3);
            let regex = (regexes, letters(language)).prop_map(|(patterns, letters)| Test::Regex(patterns, letters));
            prop_oneof![7 => common, 2 => regex, 1 => order].boxed()
        }
        Language::Kql => prop_oneof![7 => common, 1 => order].boxed(),
    }
}

fn words() -> impl Strategy<Value = (String, bool)> {
    prop_oneof![
        "[aAbé1*]{1,2}( [aAb1*]{1,2}){0,1}".prop_map(|text| (text, false)),
        "[aAbé1. -]{0,4}".prop_map(|text| (text, true)),
    ]
}

fn number_test() -> impl Strategy<Value = Test> {
    prop_oneof![
        Just(Test::Exists),
        few(number()).prop_map(Test::NumberIn),
        (one_of(&ORDERS), number()).prop_map(|(order, limit)| Test::Order(order, limit)),
    ]
}

fn address_test() -> impl Strategy<Value = Test> {
    let pattern = one_of(&["10.*", "*f*", "*:*", "*.9", "::FFFF:10.1.2.3", "2001:db8::/32"]);
    let limit = one_of(&ADDRESSES[..ADDRESSES.len() - 1]);
    prop_oneof![
        few(one_of(&NETWORKS)).prop_map(Test::Within),
        few(one_of(&NETWORKS)).prop_map(Test::AddressIn),
        few(pattern).prop_map(Test::AddressLike),
        (one_of(&ORDERS), limit).prop_map(|(order, limit)| Test::AddressOrder(order, limit)),
    ]
}

fn field_test(language: Language) -> BoxedStrategy<Query> {
    let field = |(field, test)| Query::Field(field, test);
    let text_fields: Vec<&str> = match language {
        Language::Eql => [&TEXT_FIELDS[..], &["?process.name", "?no.such.field"]].concat(),
        Language::Kql => {
            let is_whole = |name: &&str| !name.contains('`') && !name.ends_with(".text");
            TEXT_FIELDS.into_iter().filter(is_whole).collect()
        }
    };
    let date = prop_oneof![
        few(0..DATES.len()).prop_map(move |dates| Test::DateIn(language, dates)),
        (one_of(&ORDERS), 0..DATES.len()).prop_map(move |(order, limit)| Test::DateOrder(language, order, limit)),
    ];
    let of_words = match language {
        Language::Eql => (one_of(&text_fields), text_test(language)).prop_map(field).boxed(),
        Language::Kql => {
            let fields = one_of(&["process.name.text", "process.parent.name.text"]);
            (fields, few(words()))
                .prop_map(|(name, wanted)| Query::Field(name, Test::Words(wanted)))
                .boxed()
        }
    };
    prop_oneof![
        6 => (one_of(&text_fields), text_test(language)).prop_map(field),
        2 => of_words,
        2 => (one_of(&[LONG_FIELDS[0], LONG_FIELDS[1], LONG_FIELDS[2], FLOAT_FIELD]), number_test()).prop_map(field),
        1 => any::<bool>().prop_map(|truth| Query::Field(BOOLEAN_FIELD, Test::Boolean(truth))),
        1 => date.prop_map(|test| Query::Field(DATE_FIELD, test)),
        2 => address_test().prop_map(|test| Query::Field(ADDRESS_FIELD, test)),
    ]
    .boxed()
}

pub(crate) fn query(language: Language) -> BoxedStrategy<Query> {
    let leaf = match language {
        Language::Eql => prop_oneof![3 => field_test(language), 1 => computed()].boxed(),
        Language::Kql => {
            let patterns = one_of(&[
                None,
                Some("process.*"),
                Some("*name"),
                Some("*.l*"),
                Some("p*.parent.*"),
                Some("acme.*"),
            ]);
            let wanted = prop_oneof![
                "[aAb1]{1,2}",
                one_of(&["-1", "0.5", "true", "10.1.2.3"]).prop_map(str::to_owned)
            ];
            let anywhere = (patterns, wanted).prop_map(|(pattern, wanted)| Query::Anywhere(pattern, wanted));
            prop_oneof![9 => field_test(language), 1 => anywhere].boxed()
        }
    };
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Query::Or),
            inner.prop_map(|query| Query::Not(Box::new(query))),
        ]
    })
    .boxed()
}

/// Flat keys, each with a list of up to three values; an empty list is a missing field, and so is null.
pub(crate) fn event() -> impl Strategy<Value = Map<String, Json>> {
    let texts = || {
        prop::collection::vec(
            prop_oneof![9 => "[aAbé1. ]{0,4}".prop_map(Json::from), 1 => Just(Json::Null)],
            0..3,
        )
    };
    let longs = || prop::collection::vec((-3..4_i64).prop_map(Json::from), 0..3);
    let floats = prop::collection::vec((-6..7_i64).prop_map(|half| json!(half as f64 / 2.0)), 0..2);
    let truths = prop::collection::vec(any::<bool>(), 0..3);
    let dates = prop::collection::vec(one_of(&DATES).prop_map(|(text, ..)| text), 0..3);
    let addresses = prop::collection::vec(one_of(&ADDRESSES), 0..3);
    let all = (
        texts(),
        texts(),
        texts(),
        texts(),
        texts(),
        longs(),
        longs(),
        floats,
        truths,
        (dates, addresses, texts(), longs(), texts(), texts()),
    );
    all.prop_map(
        |(name, args, parent, team, other, pid, count, usage, interactive, (dates, addresses, own, own_count, unknown, title))| {
            let event = json!({
                "process.name": name, "process.args": args, "process.parent.name": parent, "process.pid": pid,
                "process.args_count": count, FLOAT_FIELD: usage, BOOLEAN_FIELD: interactive, DATE_FIELD: dates,
                ADDRESS_FIELD: addresses, "process.title": title, "acme.team": own, "acme.count": own_count, "no.such.field": unknown, "container.labels": {"team": team, "other": other},
            });
            match event {
                Json::Object(event) => event,
                _ => Map::new(),
            }
        },
    )
}

/// Queries of a sound operand and broken ones, joined, negated and in parentheses, each with its number of broken ones.
pub(crate) fn broken(broken: &'static [&str], sound: &'static str) -> impl Strategy<Value = (String, usize)> {
    let operand = prop_oneof![
        Just((sound.to_owned(), 0)),
        prop::sample::select(broken).prop_map(|operand| (operand.to_owned(), 1)),
    ];
    operand.prop_recursive(4, 24, 3, |inner| {
        let joined = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner.prop_map(|(query, errors)| (format!("not ({query})"), errors)),
            (
                joined,
                prop::sample::select(&["(", ""]),
                prop::sample::select(&[" and ", " or "])
            )
                .prop_map(|(parts, open, joint)| {
                    let (queries, errors): (Vec<_>, Vec<usize>) = parts.into_iter().unzip();
                    let close = if open.is_empty() { "" } else { ")" };
                    (format!("{open}{}{close}", queries.join(joint)), errors.iter().sum())
                }),
        ]
    })
}
