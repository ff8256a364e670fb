//! The word somebody probably meant.

/// How alike two words must be for one to be offered for the other: 1 is equal.
const ALIKE: f64 = 0.7;

/// The one of `known` that is spelled most like `word`, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|one| (strsim::jaro_winkler(&word, &one.to_lowercase()), one))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, one)| one)
}

/// `; did you mean "…"?` where a near word is known, else nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_near_word_and_no_far_one() {
        let known = ["KRW-BTC", "KRW-ETH", "BTC-ETH", "trade", "orderbook"];
        for (word, near) in [
            ("KRW-BCT", Some("KRW-BTC")),
            ("krw-eth", Some("KRW-ETH")),
            ("trades", Some("trade")),
            ("order-book", Some("orderbook")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
