//! Text of files in messages: control characters are made visible, and long texts are cut.

/// The most characters of a text from a file that a message repeats.
const MOST: usize = 64;

/// A text in which control characters, and characters that are not seen or change the direction of text, are written as escapes:
/// terminals and pages would obey them.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_visible(c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    shown
}

/// A text from a file, visible and cut.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", visible(&text[..end])),
        None => visible(text),
    }
}

fn is_visible(c: char) -> bool {
    let is_format = matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(visible("a\x1b]0;t\x07\u{9b}1m\u{202e}ü\\1"), "a\\u{1b}]0;t\\u{7}\\u{9b}1m\\u{202e}ü\\1");
        assert_eq!(excerpt(&"ü".repeat(64)), "ü".repeat(64));
        assert_eq!(excerpt(&"ü".repeat(65)), format!("{}…", "ü".repeat(64)));
    }
}
