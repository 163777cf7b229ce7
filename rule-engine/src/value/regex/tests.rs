use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, case: Case, text: &str) -> bool {
    let parsed = parse(&RuleLimits::default(), pattern, case).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let regex = Regex::new(&RuleLimits::default(), vec![parsed]).expect("a small automaton");
    let is_match = regex.matches(text);
    let has_part = |parts: &[Box<str>]| parts.iter().any(|part| text.to_ascii_lowercase().contains(&**part));
    assert!(
        !is_match || regex.required_parts().is_none_or(has_part),
        "{pattern} on {text}"
    );
    is_match
}

#[test]
fn what_is_fixed_of_a_pattern_is_known() {
    for (pattern, expected) in [
        (".*/dev/(tcp|udp)/.*", Some(&["/dev/tcp/", "/dev/udp/"][..])),
        ("(.*[^\\w])?(curl|wget)[^;]*sh", Some(&["curl", "wget"])),
        (".*[Bb]ase(32|64)?.*", Some(&["base"])),
        ("(abc|[0-9]+def)x?", Some(&["abc", "def"])),
        ("[0-9]{1,3}\\.[0-9]{1,3}:[0-9]{1,5}", Some(&[":"])),
        ("~(abc)", None),
        ("~(abc)&.*defg", Some(&["defg"])),
        ("(ab)*|abc", None),
        ("-[a-z]*e", None),
        ("a#", None),
    ] {
        let parsed = parse(&RuleLimits::default(), pattern, Case::Sensitive).expect("a sound pattern");
        let regex = Regex::new(&RuleLimits::default(), vec![parsed]).expect("a small automaton");
        let parts = regex.required_parts();
        let parts = parts.map(|parts| parts.iter().map(|part| &**part).collect::<Vec<&str>>());
        assert_eq!(parts.as_deref(), expected, "{pattern}");
    }
}

#[test]
fn a_pattern_describes_the_whole_text() {
    for (pattern, text, expected) in [
        ("abc", "abc", true),
        ("abc", "xabcx", false),
        (".*abc.*", "x\nabc\nx", true),
        ("", "", true),
        ("", "a", false),
        ("a|bc", "bc", true),
        ("(a|b)c", "bc", true),
        ("()", "", true),
        ("ab?c+d*", "acc", true),
        ("a{2}", "aa", true),
        ("a{2}", "aaa", false),
        ("a{1,2}b{0,}", "aabbb", true),
        ("[a-c0\\-]+", "ab-0c", true),
        ("[^a-c]", "d", true),
        ("[^a-c]", "b", false),
        ("[a-]", "-", true),
        ("[-a]", "-", true),
        ("[.*]", "*", true),
        ("[]a]", "]", true),
        ("[^]]", "]", false),
        (r"\d\w\s\D", "1_ x", true),
        (r"[\d.]+", "1.2", true),
        (r"\.\/\[", "./[", true),
        ("^a$", "^a$", true),
        ("^a$", "a", false),
        ("\"a.b\"", "a.b", true),
        ("\"a.b\"", "axb", false),
        ("a@", "a and anything", true),
        ("a#", "a", false),
        ("a#|b", "b", true),
        ("é.", "éé", true),
    ] {
        assert_eq!(matches(pattern, Case::Sensitive, text), expected, "{pattern} on {text}");
    }
}

#[test]
fn without_regard_to_case_only_letters_of_ascii_are_folded() {
    for (pattern, text, expected) in [
        ("ab", "Ab", true),
        ("[a-c]x", "BX", true),
        ("[^a]", "A", false),
        ("\"aB\"", "Ab", true),
        ("é", "É", false),
    ] {
        assert_eq!(
            matches(pattern, Case::Insensitive, text),
            expected,
            "{pattern} on {text}"
        );
    }
}

#[test]
fn the_optional_operators_negate_and_intersect_anywhere_in_a_pattern() {
    for (pattern, text, expected) in [
        ("~abc", "xbc", true),
        ("~abc", "bc", true),
        ("~abc", "abc", false),
        ("a~bc", "adc", true),
        ("a~bc", "aec", true),
        ("a~bc", "abc", false),
        ("a~bc", "ac", true),
        ("a~bc", "abbc", true),
        ("~(abc)", "abc", false),
        ("~(abc)", "abcd", true),
        ("~(abc)", "", true),
        ("~~a", "a", true),
        ("~~a", "b", false),
        ("@&~(abc.+)", "abc", true),
        ("@&~(abc.+)", "abcd", false),
        ("aaa.+&.+bbb", "aaabbb", true),
        ("aaa.+&.+bbb", "aaab", false),
        (".*a.*&.*b.*&.*c.*", "xcbax", true),
        (".*a.*&.*b.*&.*c.*", "xcbx", false),
        ("x(a+&..)y", "xaay", true),
        ("x(a+&..)y", "xay", false),
        ("(~a){2}", "a", false),
        ("(~a){2}", "aa", true),
        ("(a&b)*c", "c", true),
        ("a&b|c", "c", true),
        ("a&b|c", "a", false),
        ("~#", "anything", true),
        ("~@", "", false),
        ("~é", "é", false),
        ("~é", "\u{10ffff}", true),
        (".*(~[0-9])<10-20>&[^x]+", "a15", true),
        ("\"a&b~\"", "a&b~", true),
        (r"a\&b\~", "a&b~", true),
        ("[&~]+", "&~", true),
    ] {
        assert_eq!(matches(pattern, Case::Sensitive, text), expected, "{pattern} on {text}");
    }
    assert!(!matches("~(AB)", Case::Insensitive, "ab"));
}

#[test]
fn what_cannot_be_read_or_translated_is_named() {
    for (pattern, expected) in [
        ("~", "the operator `~` negates nothing"),
        ("a(~|b)", "the operator `~` negates nothing"),
        ("<1-9", "`<` has no `>`"),
        ("<a-9>", "`<a-9>` is no interval such as `<1-20>`"),
        ("<19>", "`<19>` is no interval such as `<1-20>`"),
        ("<1-99999999999>", "`<1-99999999999>` is no interval such as `<1-20>`"),
        ("(a", "`(` has no `)`"),
        ("a)", "`)` closes nothing"),
        ("[a", "`[` has no `]`"),
        ("[]", "`[` has no `]`"),
        ("[c-a]", "the range `c-a` ends before it begins"),
        ("*a", "`*` repeats nothing"),
        ("a{x}", "`{x}` is no count"),
        ("a{2,1}", "`{2,1}` ends before it begins"),
        ("a{9999999}", "a count is higher than 1000"),
        ("a\\", "a backslash at the end escapes nothing"),
        ("\"a", "`\"` has no closing `\"`"),
    ] {
        assert_eq!(
            parse(&RuleLimits::default(), pattern, Case::Sensitive).map(|_| ()),
            Err(expected.to_owned()),
            "{pattern}"
        );
    }
    assert!(parse(&RuleLimits::default(), &"(".repeat(10_000), Case::Sensitive).is_err());
}

#[test]
fn an_automaton_that_explodes_is_refused_and_a_hard_one_stays_linear() {
    for pattern in [
        "((((a{1,1000}){1,1000}){1,1000}){1,1000})",
        "~((((a{1,1000}){1,1000}){1,1000}){1,1000})",
        "~(.*a.{40})",
        "~(~(~(.*a.{9})b.{9}).*)&.*c.{9}",
        ".*a.{100}&.*b.{100}",
    ] {
        let parsed = parse(&RuleLimits::default(), pattern, Case::Sensitive).expect("a sound pattern");
        assert!(Regex::new(&RuleLimits::default(), vec![parsed]).is_none(), "{pattern}");
    }
    assert!(!matches("(a*)*(a*)*(a|aa)*b", Case::Sensitive, &"a".repeat(100_000)));
    assert!(matches("~((a*)*(a*)*(a|aa)*b)", Case::Sensitive, &"a".repeat(100_000)));
}

proptest! {
    #[test]
    fn an_interval_is_its_numbers(
        ends in ("[0-9]{1,4}", "[0-9]{1,4}"),
        texts in prop::collection::vec("[0-9]{0,6}", 50),
    ) {
        let numbers = [&ends.0, &ends.1].map(|text| text.parse::<u64>().expect("digits"));
        let (low, high) = (numbers[0].min(numbers[1]), numbers[0].max(numbers[1]));
        let pattern = format!("<{}-{}>", ends.0, ends.1);
        for text in texts {
            let is_within = text.parse().is_ok_and(|number: u64| (low..=high).contains(&number));
            let has_width = ends.0.len() != ends.1.len() || text.len() == ends.0.len();
            prop_assert_eq!(matches(&pattern, Case::Sensitive, &text), is_within && has_width, "{} on {}", pattern, text);
        }
    }

    #[test]
    fn no_pattern_makes_the_reader_panic(pattern in r#"[ab.?+*|{}\[\]()~<>&@#"\\^,0-9é-]{0,30}"#, text in "[ab]{0,5}") {
        if let Ok(parsed) = parse(&RuleLimits::default(), &pattern, Case::Insensitive)
            && let Some(regex) = Regex::new(&RuleLimits::default(), vec![parsed])
        {
            regex.matches(&text);
        }
    }
}

#[test]
fn only_a_pattern_with_characters_that_must_be_there_has_a_literal() {
    for (pattern, case, expected) in [
        (".*curl.*", Case::Sensitive, true),
        (".*curl.*", Case::Insensitive, true),
        ("(ab|cd).*", Case::Sensitive, true),
        ("(ab|.)*", Case::Sensitive, false),
        (".*[0-9]{4}.*", Case::Sensitive, false),
        ("(ab)?x", Case::Sensitive, false),
        (".*ab.*&~(x)", Case::Sensitive, true),
        ("~(abc)", Case::Sensitive, false),
    ] {
        let parsed = parse(&RuleLimits::default(), pattern, case).expect("a sound pattern");
        let regex = Regex::new(&RuleLimits::default(), vec![parsed]).expect("a small automaton");
        assert_eq!(regex.has_literal(), expected, "{pattern}");
    }
}
