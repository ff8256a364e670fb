//! Markets that somebody asked to see one by one. Of the others only their streams are counted: a
//! venue has many markets, and whoever collects numbers keeps each of them for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::merge::LaneKey;
use crate::model::time::Timestamp;

/// Which markets are meant: by codes and patterns.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    words: Vec<String>,
    patterns: GlobSet,
}

impl Watched {
    /// Reads codes (`KRW-BTC`), patterns (`KRW-*`), or `all`.
    ///
    /// # Errors
    ///
    /// In words, when a pattern cannot be read.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut patterns = GlobSetBuilder::new();
        for word in words {
            let glob = if word.eq_ignore_ascii_case("all") { "*" } else { word.trim() };
            let built = GlobBuilder::new(glob).case_insensitive(true).build();
            patterns
                .add(built.map_err(|error| format!("{word:?} is no pattern: {}", error.kind()))?);
        }
        let patterns = patterns.build().map_err(|error| error.kind().to_string())?;
        Ok(Self { words: words.to_vec(), patterns })
    }
}

/// What came of one market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Records that the venue told.
    pub told: u64,
    /// The latest arrival. Clock: ours.
    pub last_recv: Timestamp,
}

/// What came of the markets that are meant.
#[derive(Debug, Default)]
pub struct Counts {
    watched: Arc<Watched>,
    counts: BTreeMap<LaneKey, Count>,
}

impl Counts {
    /// Takes others as meant from now on; what is not meant any more is forgotten.
    pub(super) fn follow(&mut self, watched: Arc<Watched>) {
        if self.watched.words != watched.words {
            self.counts.retain(|key, _| watched.patterns.is_match(key.market.as_str()));
            self.watched = watched;
        }
    }

    /// A record came.
    pub(super) fn count(&mut self, key: &LaneKey, at: Timestamp) {
        if self.watched.patterns.is_empty() {
            return;
        }
        let known = self.counts.contains_key(key);
        if known || self.watched.patterns.is_match(key.market.as_str()) {
            let count = self.counts.entry(key.clone()).or_default();
            count.told += 1;
            count.last_recv = count.last_recv.max(at);
        }
    }

    pub(super) const fn counts(&self) -> &BTreeMap<LaneKey, Count> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::market::Market;
    use crate::model::subscription::Stream;

    #[test]
    fn only_what_is_meant_is_counted() {
        let meant = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Watched::parse(&words).map(Arc::new)
        };
        let table: [(&[&str], &[&str]); 5] = [
            (&[], &[]),
            (&["KRW-BTC"], &["KRW-BTC"]),
            (&["krw-*"], &["KRW-BTC", "KRW-ETH"]),
            (&["KRW-ETH", "BTC-?RP"], &["BTC-XRP", "KRW-ETH"]),
            (&["all"], &["BTC-XRP", "KRW-BTC", "KRW-ETH"]),
        ];
        let mut counts = Counts::default();
        for (words, expected) in table {
            counts.follow(meant(words).unwrap());
            for second in [3, 2] {
                for market in ["KRW-BTC", "KRW-ETH", "BTC-XRP"] {
                    let market = Market::new(market);
                    let lane = LaneKey { venue: "v".into(), stream: Stream::Trade, market };
                    counts.count(&lane, Timestamp::from_millis(second));
                }
            }
            let told: Vec<_> = counts.counts().keys().map(|key| key.market.as_str()).collect();
            assert_eq!(told, expected, "{words:?}");
            let fresh = |count: &Count| count.last_recv == Timestamp::from_millis(3);
            assert!(counts.counts().values().all(|count| count.told >= 2 && fresh(count)));
        }
        assert!(meant(&["KRW-["]).unwrap_err().contains("KRW-["));
    }
}
