//! Text from files, safe to show. Names and titles come from bundles and films of other people: a terminal obeys control
//! characters in them, and some characters hide or reorder the text around them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character changes how other text is shown instead of being shown itself: controls (C0, DEL, C1), line separators,
/// marks that reorder text, and marks without a width. Joiners are not among them: Arabic and Indian scripts need them.
///
/// ```
/// use onemark_film::visible::is_hidden;
///
/// assert!(is_hidden('\u{1b}') && is_hidden('\n') && is_hidden('\u{202e}'));
/// assert!(!is_hidden('é') && !is_hidden(' '));
/// ```
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// One line of text in which every hidden character is written out, so that nobody obeys it.
///
/// ```
/// use onemark_film::visible::visible;
///
/// assert_eq!(visible("Sella"), "Sella");
/// assert_eq!(visible("Sella\u{1b}[2J\nFor diagnosis."), r"Sella\u{1b}[2J\nFor diagnosis.");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, is_hidden)
}

/// The same for text of several lines, in which line ends and tabs stay what they are.
///
/// ```
/// use onemark_film::visible::visible_lines;
///
/// assert_eq!(visible_lines("one\n\ttwo\r\n"), "one\n\ttwo\\r\n");
/// ```
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |letter| is_hidden(letter) && !matches!(letter, '\n' | '\t'))
}

/// A number for a message, in a few characters also if it has hundreds of digits.
///
/// ```
/// use onemark_film::visible::short;
///
/// assert_eq!([0.1, -40.0, 1e300, 1e-300].map(short), ["0.1", "-40", "1.000e300", "1.000e-300"]);
/// ```
pub fn short(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= 12 { plain } else { format!("{number:.3e}") }
}

/// The first characters of cells that spreadsheets compute, also in their wide forms.
pub const FORMULAS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A text as the cell of a table that spreadsheets open: they would compute a text that begins with one of [`FORMULAS`], so it gets an
/// apostrophe in front, as OWASP advises. Numbers stay numbers, and hidden characters are written out. [`from_cell`] takes the
/// apostrophe away.
///
/// ```
/// use onemark_film::visible::cell;
///
/// assert_eq!(cell("Sella"), "Sella");
/// assert_eq!(cell("-3.5"), "-3.5");
/// assert_eq!(cell("=HYPERLINK(\"http://…\")"), "'=HYPERLINK(\"http://…\")");
/// // Where lists are separated by semicolons, what follows one is a cell of its own.
/// assert_eq!(cell("a;=1+1"), "a;'=1+1");
/// ```
pub fn cell(text: &str) -> Cow<'_, str> {
    let shown = visible(text);
    // Tabs and line ends at the start are dangerous too; they have just been written out, beginning with a backslash.
    if text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) && is_number(text) {
        return shown;
    }
    let mut safe = String::with_capacity(shown.len() + 1);
    let mut starts = true;
    for (place, letter) in shown.char_indices() {
        if starts && is_guarded(&shown[place..]) {
            safe.push('\'');
        }
        starts = still_starts(starts, letter);
        safe.push(letter);
    }
    if safe == shown { shown } else { Cow::Owned(safe) }
}

/// The text of a cell, without the apostrophes that [`cell`] has put in front of formulas.
///
/// ```
/// use onemark_film::visible::from_cell;
///
/// assert_eq!(from_cell("'=1.png"), "=1.png");
/// assert_eq!(from_cell("'n Boer"), "'n Boer");
/// ```
pub fn from_cell(cell: &str) -> Cow<'_, str> {
    if !cell.contains('\'') {
        return Cow::Borrowed(cell);
    }
    let mut text = String::with_capacity(cell.len());
    let mut starts = true;
    for (place, letter) in cell.char_indices() {
        let is_guard = starts && letter == '\'' && is_guarded(&cell[place..]);
        if !is_guard {
            text.push(letter);
        }
        starts = still_starts(starts, letter);
    }
    Cow::Owned(text)
}

/// Whether a cell that starts so gets an apostrophe: a formula does, and so does one that has apostrophes in front already, which would
/// lose one of them otherwise.
fn is_guarded(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULAS)
}

/// Whether a spreadsheet may take what follows a letter for the start of a cell.
fn still_starts(starts: bool, letter: char) -> bool {
    letter == ';' || (starts && (letter == ' ' || letter == '"'))
}

/// Whether a spreadsheet takes a text for a number: "-3.5", "1e-4".
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// JSON in which the characters that hide or reorder others are written as `\u…`. It has the same meaning as without.
///
/// ```
/// use onemark_film::visible::visible_json;
///
/// assert_eq!(visible_json("[\n  \"Sella\u{9b}2J\"\n]"), "[\n  \"Sella\\u009b2J\"\n]");
/// ```
pub fn visible_json(text: &str) -> Cow<'_, str> {
    // Outside of strings, JSON has none of them but line ends.
    let hidden = |letter: char| is_hidden(letter) && letter != '\n';
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if hidden(letter) {
            safe.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// [`visible`], at most `most` characters long; what is cut off is shown by an ellipsis.
///
/// ```
/// use onemark_film::visible::cut;
///
/// assert_eq!(cut("Posterior nasal spine", 10), "Posterior…");
/// ```
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    // Only the part that can be shown is looked at: a text may be very long.
    let Some((end, _)) = text.char_indices().nth(most) else { return cut_visible(visible(text), most) };
    let start = visible(&text[..end]).into_owned();
    Cow::Owned(shortened(&start, most))
}

/// A text that a file states, for messages: [`cut`] at 64 characters.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, 64)
}

fn cut_visible(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    if text.chars().nth(most).is_some() { Cow::Owned(shortened(&text, most)) } else { text }
}

/// The start of a text and an ellipsis, together at most `most` characters.
fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn written_out(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if hidden(letter) {
            let _ = write!(shown, "{}", letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_what_is_shown() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("ä\u{1b}", 3), r"ä\…");
        assert_eq!(cut(&"x".repeat(70_000), 60).chars().count(), 60);
    }

    #[test]
    fn a_cell_is_no_formula_and_gives_its_text_back() {
        for text in [
            "Sella", "=1.png", " =1", "\"@a", "a;+1;-b", "-3.5", "-3.5mm", "＝1", "a'b", "'n", "", "'", "a; =1", "'=1",
            "''=1", "a;'+1",
        ] {
            let cell = cell(text);
            assert!(!cell.starts_with(FORMULAS) || is_number(text), "{text}: {cell}");
            assert_eq!(from_cell(&cell), text, "{cell}");
        }
        assert_eq!(from_cell("''=1"), "'=1");
    }

    #[test]
    fn nothing_hidden_is_left() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!visible(&all).contains(is_hidden));
        let lines = visible_lines(&all);
        assert_eq!(lines.chars().filter(|letter| is_hidden(*letter)).collect::<String>(), "\t\n");
    }
}
