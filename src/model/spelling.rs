//! The word that somebody probably meant.

/// The one of `known` that is spelled most like `word`; the first of several.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let mut best: Option<(f64, &'a str)> = None;
    for one in known {
        let other = one.to_lowercase();
        // `book` means `orderbook`, whatever else has its letters.
        let within = !word.is_empty() && (other.contains(&word) || word.contains(&other));
        let alike = if within { 1.0 } else { strsim::jaro_winkler(&word, &other) };
        if best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, one));
        }
    }
    best.map(|(_, one)| one)
}

/// `; did you mean "…"?`, or nothing where no word is known.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_near_word() {
        let known = ["KRW-BTC", "KRW-ETH", "BTC-ETH", "trade", "orderbook"];
        for (word, near) in [
            ("KRW-BCT", "KRW-BTC"),
            ("krw-eth", "KRW-ETH"),
            ("trades", "trade"),
            ("book", "orderbook"),
            ("order-book", "orderbook"),
        ] {
            assert_eq!(nearest(word, known), Some(near), "{word}");
        }
        assert_eq!(nearest("trade", []), None);
        assert_eq!(hint("trade", []), "");
    }
}
