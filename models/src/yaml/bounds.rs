//! Bounds of a YAML text, checked before it is read into values: reading takes memory for every value at once, repeats what an alias
//! names, and takes time that grows with the square of the nesting.
//!
//! A streaming parser gives one event after the other, so a text is refused at the first place that breaks a bound.

use saphyr_parser::{Event, Parser};

use super::YamlError;

/// The deepest nesting of lists and mappings. Manifests and recipes have ten levels.
pub const DEEPEST: usize = 32;
/// The largest number of values, keys and items in a text. The covariance of [`MOST_LANDMARKS`] landmarks has 160,000.
///
/// [`MOST_LANDMARKS`]: crate::landmarks::MOST_LANDMARKS
pub const MOST_VALUES: usize = 400_000;

/// Characters that YAML 1.1 reads as ends of lines, and YAML 1.2 does not: the next line, the line and the paragraph separator. A
/// text written by [`super::write`] has escapes in their place.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Checks that a text has no anchors and no aliases, that it is nested at most [`DEEPEST`] deep, and that it has at most
/// [`MOST_VALUES`] values.
///
/// # Errors
/// The line and the bound; or the text is not YAML.
pub(super) fn check(origin: &str, text: &str) -> Result<(), YamlError> {
    let refuse = |line: usize, message: String| {
        Err(YamlError { origin: origin.to_owned(), line: Some(line), message, suggestion: None })
    };
    if let Some(place) = text.find(LINE_ENDS) {
        let line = 1 + text[..place].matches('\n').count();
        return refuse(
            line,
            "it has a line or paragraph separator; write an escape, such as \"\\L\", in its place".into(),
        );
    }
    let (mut depth, mut values) = (0_usize, 0_usize);
    for event in Parser::new_from_str(text) {
        let (event, line) = match event {
            Ok((event, span)) => (event, span.start.line()),
            // The parser has a limit of its own, and reads ahead.
            Err(error) if error.info() == RECURSION_LIMIT => return refuse(error.marker().line(), too_deep()),
            Err(error) => return refuse(error.marker().line(), format!("it is not YAML: {}", error.info())),
        };
        let (opens, anchor) = match event {
            Event::Alias(_) => return refuse(line, NO_ALIASES.into()),
            Event::Scalar(_, _, anchor, _) => (false, anchor),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => (true, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                depth = depth.saturating_sub(1);
                continue;
            }
            _ => continue,
        };
        if anchor != 0 {
            return refuse(line, NO_ALIASES.into());
        }
        depth += usize::from(opens);
        values += 1;
        if depth > DEEPEST {
            return refuse(line, too_deep());
        }
        if values > MOST_VALUES {
            return refuse(line, format!("it has more than {MOST_VALUES} values"));
        }
    }
    Ok(())
}

/// What the parser says of texts that are nested deeper than 255 levels.
const RECURSION_LIMIT: &str = "recursion limit exceeded";

fn too_deep() -> String {
    format!("lists and mappings are nested deeper than {DEEPEST} levels")
}

const NO_ALIASES: &str = "it has an anchor (`&`) or an alias (`*`); write the value itself, in quotes if it is a text";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(text: &str) -> String {
        check("here", text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_within_the_bounds_is_accepted() {
        let texts = [
            "",
            "a: 1\nb: [c, { d: e }]\n",
            "# a & b, *c\nuse: Smith & Sons, 2 * 3\ntext: |\n  &a [ *b\nquoted: \"&a *b\"\nother: '*b'\n",
            "decoding: !shape-prior\n  mean: [1, 2]\n",
        ];
        texts.into_iter().for_each(|text| check("here", text).unwrap());
        check("here", &format!("{}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST))).unwrap();
    }

    #[test]
    fn an_anchor_or_an_alias_is_refused_at_its_line() {
        for text in
            ["a: 1\nb: &x 2\n", "a: 1\nb: *x\n", "a: 1\n? &x b\n: 2\n", "a: 1\nb: &x [1, 2]\n", "a: 1\nb: [&x {}]\n"]
        {
            let error = refused(text);
            assert!(error.starts_with("here:2: ") && error.contains("anchor"), "{text}: {error}");
        }
        // A comment ends at a line separator for readers of YAML 1.1.
        let hidden = refused("a: 1\nb: 2 # comment\u{2028}c: &x 3\n");
        assert!(hidden.starts_with("here:2: ") && hidden.contains("separator"), "{hidden}");
    }

    #[test]
    fn nesting_and_values_are_counted_before_they_are_read() {
        let deep = refused(&format!("x: {}", "[".repeat(1_000_000)));
        assert!(deep.contains("deeper than 32 levels"), "{deep}");
        let deep = refused(&"- ".repeat(1_000_000));
        assert!(deep.contains("deeper than 32 levels"), "{deep}");
        let many = refused(&"- a\n".repeat(MOST_VALUES));
        assert!(many.contains("more than 400000 values"), "{many}");
    }

    #[test]
    fn what_is_not_yaml_is_refused_at_its_line() {
        let error = refused("a: 1\nb: [1, 2\nc: }\n");
        assert!(error.contains("it is not YAML"), "{error}");
    }
}
