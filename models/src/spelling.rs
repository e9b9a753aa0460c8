//! Finds the nearest known spelling of an unknown word.

/// The least Jaro-Winkler similarity at which one word is probably a misspelling of the other.
const NEAR: f64 = 0.75;

/// The longest word, in bytes, for which a known spelling is searched: the time grows with the length.
const LONGEST: usize = 100;

/// The candidate nearest to `word`, if it is near enough for `word` to be a misspelling of it.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if word.len() > LONGEST {
        return None;
    }
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    scored.filter(|(score, _)| *score > NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word.to_owned())
}

/// The nearest candidate as a question at the end of a message; empty if no candidate is near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_is_suggested() {
        assert_eq!(nearest("embeding", ["decoder", "embedding"]).as_deref(), Some("embedding"));
        assert_eq!(nearest("epochs", ["decoder", "widths"]), None);
        assert_eq!(nearest(&"x".repeat(101), [&*"x".repeat(102)]), None);
        assert_eq!(did_you_mean("embeding", ["embedding"]), "; did you mean `embedding`?");
    }
}
