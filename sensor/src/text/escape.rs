//! Escaping of hostile text, so that a name or an argument is displayed and never obeyed.
//!
//! Used wherever a person reads text from outside: alerts as text, the reason of an alert, log messages. The result has
//! no control, formatting (bidirectional, zero-width) or invisible character, and no two different texts look the same.

use std::fmt::{self, Display, Write};

/// Letters that are blank, which [`char::escape_debug`] does not escape.
const BLANK_LETTERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Displays a text with everything escaped that is not visible, as `\u{1b}` or `\n`.
pub(crate) struct Visible<'a>(pub &'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| write_visible(f, character))
    }
}

/// Displays a line of the sensor's own in which something foreign may stand: as [`Visible`], but what is escaped already
/// stays as it is. At most `limit` characters, then its real length.
pub(crate) struct Line<'a> {
    pub text: &'a str,
    pub limit: usize,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.text.char_indices().nth(self.limit).map(|(at, _)| at);
        for character in self.text[..cut.unwrap_or(self.text.len())].chars() {
            match character {
                '\\' => f.write_char(character)?,
                _ => write_visible(f, character)?,
            }
        }
        match cut {
            Some(_) => write!(f, "…[{} bytes]", self.text.len()),
            None => Ok(()),
        }
    }
}

/// Displays a text, of one longer than `limit` characters both ends and its real length.
pub(crate) struct Ends<'a> {
    pub text: &'a str,
    pub limit: usize,
}

impl Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ends { text, limit } = *self;
        if text.chars().nth(limit).is_none() {
            return Visible(text).fmt(f);
        }
        let at = |(at, _)| at;
        let head = text.char_indices().nth(limit / 2).map_or(0, at);
        let tail = text
            .char_indices()
            .nth_back((limit / 2).saturating_sub(1))
            .map_or(text.len(), at);
        write!(
            f,
            "{}…[{} bytes]…{}",
            Visible(&text[..head]),
            text.len(),
            Visible(&text[tail..])
        )
    }
}

/// Displays an argument so that its ends are visible: bare if it is plain, else in double quotes. At most `limit`
/// characters, then its real length.
pub(crate) struct Argument<'a> {
    pub text: &'a str,
    pub limit: usize,
}

impl Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.text.char_indices().nth(self.limit).map(|(at, _)| at);
        let displayed = &self.text[..cut.unwrap_or(self.text.len())];
        if !displayed.is_empty() && displayed.chars().all(is_plain) {
            f.write_str(displayed)?;
        } else {
            f.write_char('"')?;
            for character in displayed.chars() {
                match character {
                    '"' => f.write_str("\\\"")?,
                    _ => write_visible(f, character)?,
                }
            }
            f.write_char('"')?;
        }
        match cut {
            Some(_) => write!(f, "…[{} bytes]", self.text.len()),
            None => Ok(()),
        }
    }
}

/// Arguments as one line of about `limit` characters, each of at most `argument_limit`; then how many are left out.
pub(crate) fn command_line<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    limit: usize,
    argument_limit: usize,
) -> String {
    words(arguments, limit, argument_limit, "more arguments")
}

/// The same of any words; those that are left out are called so.
pub(crate) fn words<'a>(
    words: impl IntoIterator<Item = &'a str>,
    limit: usize,
    word_limit: usize,
    left_out_as: &str,
) -> String {
    let mut words = words.into_iter();
    let mut line = String::new();
    while line.chars().count() < limit {
        let Some(text) = words.next() else { return line };
        let separator = if line.is_empty() { "" } else { " " };
        // Writing to a `String` does not fail.
        let _ = write!(
            line,
            "{separator}{}",
            Argument {
                text,
                limit: word_limit
            }
        );
    }
    let left_out = words.count();
    if left_out > 0 {
        let _ = write!(line, " …[{left_out} {left_out_as}]");
    }
    line
}

fn is_plain(character: char) -> bool {
    character.is_ascii_graphic() && !matches!(character, '"' | '\'' | '\\')
}

fn write_visible(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' | '\'' => f.write_char(character),
        _ if BLANK_LETTERS.contains(&character) => write!(f, "{}", character.escape_unicode()),
        _ => write!(f, "{}", character.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_could_mislead_are_spelled_out() {
        for (text, expected) in [
            ("plain: it's \"ok\"", "plain: it's \"ok\""),
            ("größe 大 🐚", "größe 大 🐚"),
            ("\u{1b}[2J\u{7}\r\n\t", "\\u{1b}[2J\\u{7}\\r\\n\\t"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}"),
            ("a\u{200b}\u{feff}\u{ad}\u{2060}", "a\\u{200b}\\u{feff}\\u{ad}\\u{2060}"),
            ("\u{2028}\u{2029}\u{a0}", "\\u{2028}\\u{2029}\\u{a0}"),
            ("\u{e0041}\u{fe0f}\u{3164}", "\\u{e0041}\\u{fe0f}\\u{3164}"),
            ("\\u{1b}", "\\\\u{1b}"),
        ] {
            assert_eq!(Visible(text).to_string(), expected);
        }
    }

    #[test]
    fn the_ends_and_the_real_length_of_an_argument_are_visible() {
        for (text, expected) in [
            ("--install", "--install"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("say \"x\\\"", "\"say \\\"x\\\\\\\"\""),
            ("0123456789abcdef", "0123456789…[16 bytes]"),
            ("ääääääääääää", "\"ääääääääää\"…[24 bytes]"),
        ] {
            assert_eq!(Argument { text, limit: 10 }.to_string(), expected);
        }
    }

    #[test]
    fn both_ends_of_a_long_text_are_visible() {
        for (text, expected) in [
            ("/usr/bin/x", "/usr/bin/x"),
            ("/a\u{1b}/bcdefgh/x", "/a\\u{1b}/b…[13 bytes]…fgh/x"),
            ("äöüäöüäöüäöü", "äöüäö…[24 bytes]…öüäöü"),
        ] {
            assert_eq!(Ends { text, limit: 10 }.to_string(), expected);
        }
    }

    #[test]
    fn a_line_is_one_line_of_some_length() {
        for (text, expected) in [
            ("\\u{1b} \"b\"", "\\u{1b} \"b\""),
            ("a\nb\u{1b}", "a\\nb\\u{1b}"),
            ("0123456789abc", "0123456789…[13 bytes]"),
        ] {
            assert_eq!(Line { text, limit: 10 }.to_string(), expected);
        }
    }

    #[test]
    fn a_long_command_line_says_how_many_arguments_are_left_out() {
        assert_eq!(command_line(["a", "b c"], 80, 80), "a \"b c\"");
        assert_eq!(
            command_line(vec!["12345"; 10], 20, 80),
            "12345 12345 12345 12345 …[6 more arguments]"
        );
    }

    proptest! {
        #[test]
        fn what_is_displayed_has_no_control_character(text in any::<String>()) {
            prop_assert!(!Visible(&text).to_string().chars().any(char::is_control));
            let argument = Argument { text: &text, limit: 20 }.to_string();
            prop_assert!(!argument.chars().any(char::is_control));
            let line = Line { text: &text, limit: 20 }.to_string();
            prop_assert!(!line.chars().any(char::is_control));
            let visible = Visible(&text).to_string();
            let again = Line { text: &visible, limit: usize::MAX }.to_string();
            prop_assert_eq!(again, visible);
        }

        #[test]
        fn different_texts_look_different(left in "[\\\\u{}1b\u{1b}n\n]{0,6}", right in "[\\\\u{}1b\u{1b}n\n]{0,6}") {
            prop_assert_eq!(left == right, Visible(&left).to_string() == Visible(&right).to_string());
        }
    }
}
