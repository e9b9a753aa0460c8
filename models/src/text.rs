//! Texts that other people wrote: what names, titles and longer texts may hold, and how messages repeat such texts.

use std::borrow::Cow;

use onemark_film::visible::{FORMULAS, is_hidden, visible};

use crate::invalid::Invalid;

/// The largest number of characters in a name or a title.
pub const LONGEST_LINE: usize = 200;
/// The largest number of characters in any other text of a manifest or a landmark set.
pub const LONGEST_TEXT: usize = 20_000;
/// The largest number of characters of a message that repeats what other people wrote.
const LONGEST_MESSAGE: usize = 2_000;

/// Checks a name or a title for people: one line of at most [`LONGEST_LINE`] characters, which no spreadsheet takes for a formula.
/// It may be empty.
///
/// # Errors
/// The rule that it breaks, with `key`.
pub fn validate_line(key: &str, text: &str) -> Result<(), Invalid> {
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c)) {
        return Err(Invalid::new(key, hidden_character(hidden)));
    }
    if text.trim_start().starts_with(FORMULAS) {
        return Err(Invalid::new(key, "must not begin with =, +, - or @, because a spreadsheet would compute it"));
    }
    match text.chars().count() {
        0..=LONGEST_LINE => Ok(()),
        length => Err(Invalid::new(key, format!("has {length} characters; at most {LONGEST_LINE} are read"))),
    }
}

/// Checks a text for people: at most [`LONGEST_TEXT`] characters, none of them hidden except ends of lines and tabs.
///
/// # Errors
/// The rule that it breaks, with `key`.
pub fn validate_text(key: &str, text: &str) -> Result<(), Invalid> {
    if let Some(hidden) = text.chars().find(|c| is_hidden(*c) && !matches!(c, '\n' | '\t')) {
        return Err(Invalid::new(key, hidden_character(hidden)));
    }
    match text.chars().count() {
        0..=LONGEST_TEXT => Ok(()),
        length => Err(Invalid::new(key, format!("has {length} characters; at most {LONGEST_TEXT} are read"))),
    }
}

fn hidden_character(hidden: char) -> String {
    format!("holds the hidden character {}; remove it", hidden.escape_default())
}

/// The first names of a list, at most `most`, and the number of the others.
///
/// ```
/// use onemark_models::text::few;
///
/// let names: Vec<String> = (1..=5).map(|number| number.to_string()).collect();
/// assert_eq!(few(&names, 3), "1, 2, 3 and 2 more");
/// assert_eq!((few(&names, 5).as_str(), few(&[], 3).as_str()), ("1, 2, 3, 4, 5", ""));
/// ```
pub fn few(names: &[String], most: usize) -> String {
    match names.get(..most) {
        Some(first) if names.len() > most => format!("{} and {} more", first.join(", "), names.len() - most),
        _ => names.join(", "),
    }
}

/// The text for a message: hidden characters are written out, and the middle of a very long text is left out.
///
/// ```
/// use onemark_models::text::for_message;
///
/// assert_eq!(for_message("Sella"), "Sella");
/// assert_eq!(for_message("\u{1b}[2JSella"), "\\u{1b}[2JSella");
/// ```
pub fn for_message(text: &str) -> Cow<'_, str> {
    match shortened(text) {
        Cow::Borrowed(text) => visible(text),
        Cow::Owned(text) => visible(&text).into_owned().into(),
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    const HALF: usize = LONGEST_MESSAGE / 2;
    let first = text.char_indices().nth(HALF).map(|(end, _)| &text[..end]);
    let last = text.char_indices().rev().nth(HALF - 1).map(|(start, _)| &text[start..]);
    match (first, last) {
        (Some(first), Some(last)) if first.len() + last.len() < text.len() => format!("{first} … {last}").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_title_is_one_line_that_nothing_computes() {
        for good in
            ["", "Sella", "Subspinale (A point)", "Türkensattel", "A=B", "نقطه\u{200c}ها", &"x".repeat(LONGEST_LINE)]
        {
            assert_eq!(validate_line("title", good), Ok(()), "{good}");
        }
        let long = "x".repeat(LONGEST_LINE + 1);
        for (bad, why) in [
            ("a\nb", "\\n"),
            ("a\0b", "\\u{0}"),
            ("\u{1b}[2J", "\\u{1b}"),
            ("\u{9b}31m", "\\u{9b}"),
            ("a\u{202e}b", "\\u{202e}"),
            ("=1+1", "spreadsheet"),
            (" @SUM(A1)", "spreadsheet"),
            ("-1", "spreadsheet"),
            ("＝1", "spreadsheet"),
            (&long, "201 characters"),
        ] {
            let error = validate_line("title", bad).unwrap_err().to_string();
            assert!(error.starts_with("title: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_text_may_have_lines() {
        assert_eq!(validate_text("use", "- For tests.\n\t= nothing else"), Ok(()));
        assert_eq!(validate_text("use", &"x".repeat(LONGEST_TEXT)), Ok(()));
        for bad in ["\u{1b}[2J", "a\rb", &"x".repeat(LONGEST_TEXT + 1)] {
            assert!(validate_text("use", bad).is_err());
        }
    }

    #[test]
    fn a_message_shows_both_ends_of_a_long_text() {
        let long = format!("first{}last", "ä".repeat(3_000));
        let shown = for_message(&long);
        assert!(shown.starts_with("first") && shown.ends_with("last") && shown.contains(" … "), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST_MESSAGE + 3);
        let short = "ä".repeat(LONGEST_MESSAGE);
        assert_eq!(for_message(&short), short);
    }
}
