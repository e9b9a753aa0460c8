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
    fn nothing_hidden_is_left() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        assert!(!visible(&all).contains(is_hidden));
        let lines = visible_lines(&all);
        assert_eq!(lines.chars().filter(|letter| is_hidden(*letter)).collect::<String>(), "\t\n");
    }
}
