//! Regular expressions by definition: for each part the set of places where it can end.

use std::collections::BTreeSet;

use super::Letters;

#[derive(Clone, Debug)]
pub(crate) enum Regex {
    Empty,
    /// `#`
    Nothing,
    /// `@`
    AnyText,
    /// `.`
    AnyCharacter,
    Character(char),
    Quoted(String),
    /// Ranges, and whether the class is what they leave out.
    Class(Vec<(char, char)>, bool),
    /// `<n-m>`, as written.
    Interval(String, String),
    Sequence(Vec<Regex>),
    Choice(Vec<Regex>),
    Both(Vec<Regex>),
    Not(Box<Regex>),
    Repeat(Box<Regex>, usize, Option<usize>),
}

impl Regex {
    pub(crate) fn matches(&self, text: &str, letters: Letters) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.ends(&text, 0, letters).contains(&text.len())
    }

    fn ends(&self, text: &[char], start: usize, letters: Letters) -> BTreeSet<usize> {
        let all = || start..=text.len();
        let one = |passes: &dyn Fn(char) -> bool| {
            let next = text.get(start).copied().filter(|next| passes(*next));
            next.map(|_| start + 1).into_iter().collect()
        };
        match self {
            Regex::Empty => BTreeSet::from([start]),
            Regex::Nothing => BTreeSet::new(),
            Regex::AnyText => all().collect(),
            Regex::AnyCharacter => one(&|_| true),
            Regex::Character(wanted) => one(&|next| letters.same(*wanted, next)),
            Regex::Quoted(quoted) => {
                let wanted: Vec<Regex> = quoted.chars().map(Regex::Character).collect();
                Regex::Sequence(wanted).ends(text, start, letters)
            }
            Regex::Class(ranges, negated) => one(&|next| {
                let is_in = |character: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&character));
                letters.spellings(next).into_iter().any(is_in) != *negated
            }),
            Regex::Interval(from, to) => all()
                .filter(|end| {
                    let digits: String = text[start..*end].iter().collect();
                    let (low, high) = (from.parse::<u64>().unwrap_or(0), to.parse::<u64>().unwrap_or(0));
                    let within = digits.bytes().all(|digit| digit.is_ascii_digit())
                        && digits
                            .parse()
                            .is_ok_and(|number| (low.min(high)..=low.max(high)).contains(&number));
                    within && (from.len() != to.len() || digits.len() == from.len())
                })
                .collect(),
            Regex::Sequence(parts) => parts.iter().fold(BTreeSet::from([start]), |starts, part| {
                starts
                    .into_iter()
                    .flat_map(|start| part.ends(text, start, letters))
                    .collect()
            }),
            Regex::Choice(parts) => parts.iter().flat_map(|part| part.ends(text, start, letters)).collect(),
            Regex::Both(parts) => all()
                .filter(|end| parts.iter().all(|part| part.ends(text, start, letters).contains(end)))
                .collect(),
            Regex::Not(part) => {
                let excluded = part.ends(text, start, letters);
                all().filter(|end| !excluded.contains(end)).collect()
            }
            Regex::Repeat(part, least, most) => {
                let mut reached = BTreeSet::from([start]);
                let mut ends = BTreeSet::new();
                // More repetitions than characters reach nothing new.
                for times in 0..=most.unwrap_or(least + text.len()) {
                    if times >= *least {
                        ends.extend(&reached);
                    }
                    reached = reached
                        .into_iter()
                        .flat_map(|start| part.ends(text, start, letters))
                        .collect();
                }
                ends
            }
        }
    }

    pub(crate) fn written(&self) -> String {
        let joined = |parts: &[Regex], sign: &str| {
            let parts: Vec<String> = parts.iter().map(Regex::written).collect();
            format!("({})", parts.join(sign))
        };
        match self {
            Regex::Empty => "()".to_owned(),
            Regex::Nothing => "#".to_owned(),
            Regex::AnyText => "@".to_owned(),
            Regex::AnyCharacter => ".".to_owned(),
            Regex::Character(character) if character.is_alphanumeric() => character.to_string(),
            Regex::Character(character) => format!("\\{character}"),
            Regex::Quoted(text) => format!("\"{text}\""),
            Regex::Class(ranges, negated) => {
                let range = |(from, to): &(char, char)| {
                    if from == to {
                        from.to_string()
                    } else {
                        format!("{from}-{to}")
                    }
                };
                let sign = if *negated { "^" } else { "" };
                format!("[{sign}{}]", ranges.iter().map(range).collect::<String>())
            }
            Regex::Interval(from, to) => format!("<{from}-{to}>"),
            Regex::Sequence(parts) => joined(parts, ""),
            Regex::Choice(parts) => joined(parts, "|"),
            Regex::Both(parts) => joined(parts, "&"),
            Regex::Not(part) => format!("~({})", part.written()),
            Regex::Repeat(part, least, most) => {
                let count = match (least, most) {
                    (0, None) => "*".to_owned(),
                    (1, None) => "+".to_owned(),
                    (0, Some(1)) => "?".to_owned(),
                    (least, None) => format!("{{{least},}}"),
                    (least, Some(most)) if least == most => format!("{{{least}}}"),
                    (least, Some(most)) => format!("{{{least},{most}}}"),
                };
                format!("({}){count}", part.written())
            }
        }
    }
}
