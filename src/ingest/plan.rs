//! From what a person asked for to what connections carry. Pure.
//!
//! A person gives streams, and markets as codes (`KRW-BTC`), as patterns (`KRW-*`) or as `all`.
//! A number after the last dot is the depth of the order book: `KRW-BTC.5`, `KRW-*.5`, `all.5`.
//! How a code is spelled, and which depths there are, only the venue knows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use globset::{GlobBuilder, GlobMatcher};

use crate::model::market::Market;
use crate::model::spelling::{hint, nearest};
use crate::model::subscription::{Stream, Subscription};
use crate::venue::{BadSubscription, Venue};

/// What a person asked for: read, and not yet held against a list of markets.
#[derive(Debug, Clone)]
pub struct Selection {
    streams: Vec<Stream>,
    markets: Vec<Selector>,
}

/// In which way streams are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As they come.
    Live,
    /// As they were.
    Past,
}

/// The markets that the venue lists, and how far that can be trusted.
#[derive(Debug, Clone, Copy)]
pub enum Listed<'a> {
    /// The venue said so just now: what is not in it does not exist.
    Fresh(&'a [Market]),
    /// As they were known before, or while recording goes on: codes outside of it are taken as
    /// they are.
    Known(&'a [Market]),
    /// Nothing is known.
    Unknown,
}

/// What cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No stream was given.
    #[error("no stream was asked for; {venue} has {offered}")]
    NoStreams {
        /// The venue.
        venue: &'static str,
        /// Those of its streams that can be asked for.
        offered: String,
    },
    /// No market was given.
    #[error("no market was asked for; give codes, a pattern such as 'KRW-*', or all")]
    NoMarkets,
    /// The venue has no such stream, or not in this way.
    #[error("{venue} has no {what} {stream:?}{hint} It has {offered}")]
    UnknownStream {
        /// The venue.
        venue: &'static str,
        /// In which way it was asked for.
        what: &'static str,
        /// What was asked for.
        stream: String,
        /// The stream with the most similar name, as a question.
        hint: String,
        /// Those that can be asked for.
        offered: String,
    },
    /// The venue lists no such market.
    #[error("{venue} lists no market {code:?}{}", nearest.as_ref().map(|code| format!("; did you mean {code:?}?")).unwrap_or_default())]
    UnknownMarket {
        /// The venue.
        venue: &'static str,
        /// What was asked for.
        code: String,
        /// The listed market with the most similar code.
        nearest: Option<String>,
    },
    /// A pattern matches no market.
    #[error("{pattern:?} matches none of the {listed} markets that {venue} lists")]
    NoMatch {
        /// The venue.
        venue: &'static str,
        /// The pattern.
        pattern: String,
        /// How many markets it was held against.
        listed: usize,
    },
    /// A pattern cannot be read.
    #[error("{pattern:?} is no pattern: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// One market with two depths.
    #[error(
        "{market} of stream {stream} is asked for with two depths, {first} and {second}; one connection cannot tell them apart"
    )]
    TwoDepths {
        /// The stream.
        stream: Stream,
        /// The market.
        market: Market,
        /// One depth, in words.
        first: String,
        /// The other.
        second: String,
    },
    /// A pattern, and no list to hold it against.
    #[error(
        "{pattern:?} needs the list of markets, which {venue} did not give; name the codes, or try again later"
    )]
    NoList {
        /// The venue.
        venue: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// The venue cannot have it.
    #[error(transparent)]
    Bad(#[from] BadSubscription),
}

impl Selection {
    /// Reads what a person asked for, one market or pattern and one stream an item.
    ///
    /// # Errors
    ///
    /// When a stream is not offered in this way, a code cannot be one of the venue's, or a pattern
    /// cannot be read.
    pub fn parse(
        venue: &dyn Venue,
        way: Way,
        markets: &[String],
        streams: &[String],
    ) -> Result<Self, PlanError> {
        let mut parsed = Vec::new();
        for word in streams {
            let stream = way.stream(venue, word.trim())?;
            if !parsed.contains(&stream) {
                parsed.push(stream);
            }
        }
        if parsed.is_empty() {
            return Err(PlanError::NoStreams { venue: venue.name(), offered: way.offered(venue) });
        }
        let markets = markets
            .iter()
            .map(|word| Selector::parse(venue, word.trim(), &parsed))
            .collect::<Result<Vec<_>, _>>()?;
        if markets.is_empty() {
            return Err(PlanError::NoMarkets);
        }
        Ok(Self { streams: parsed, markets })
    }

    /// Whether it can be resolved without a list of markets.
    #[must_use]
    pub fn names_codes_only(&self) -> bool {
        self.markets.iter().all(|selector| matches!(selector, Selector::Code(_)))
    }

    /// The subscriptions asked for, sorted, each once.
    ///
    /// # Errors
    ///
    /// When a code is not listed, a pattern matches nothing or has no list to match, or a market
    /// is asked for with two depths.
    pub fn resolve(
        &self,
        venue: &dyn Venue,
        listed: Listed<'_>,
    ) -> Result<Vec<Subscription>, PlanError> {
        let known: Option<HashSet<&Market>> = match listed {
            Listed::Fresh(markets) => Some(markets.iter().collect()),
            Listed::Known(_) | Listed::Unknown => None,
        };
        let mut found: BTreeMap<(Stream, Market), Option<u16>> = BTreeMap::new();
        for code in self.codes(venue, listed)? {
            for &stream in &self.streams {
                let one = venue.subscription(stream, &code)?;
                if let Some(known) = &known {
                    check_listed(venue, &one.market, &code, known)?;
                }
                let key = (one.stream, one.market);
                match found.get(&key) {
                    Some(depth) if *depth != one.depth => {
                        let words = |depth: Option<u16>| {
                            depth.map_or("the venue's own".into(), |depth| depth.to_string())
                        };
                        let (stream, market) = key;
                        return Err(PlanError::TwoDepths {
                            stream,
                            market,
                            first: words(*depth),
                            second: words(one.depth),
                        });
                    }
                    Some(_) | None => found.insert(key, one.depth),
                };
            }
        }
        Ok(found
            .into_iter()
            .map(|((stream, market), depth)| Subscription { stream, market, depth })
            .collect())
    }

    /// The codes asked for, patterns replaced by what they match.
    fn codes(&self, venue: &dyn Venue, listed: Listed<'_>) -> Result<Vec<String>, PlanError> {
        let mut codes = Vec::new();
        for selector in &self.markets {
            let (pattern, matcher, depth) = match selector {
                Selector::Code(code) => {
                    codes.push(code.clone());
                    continue;
                }
                Selector::Pattern { pattern, matcher, depth } => (pattern, matcher, depth),
            };
            let markets = match listed {
                Listed::Fresh(markets) | Listed::Known(markets) => markets,
                Listed::Unknown => {
                    return Err(PlanError::NoList {
                        venue: venue.name(),
                        pattern: pattern.clone(),
                    });
                }
            };
            let before = codes.len();
            let matching = markets.iter().filter(|market| matcher.is_match(market.as_str()));
            codes.extend(matching.map(|market| format!("{market}{depth}")));
            if codes.len() == before {
                return Err(PlanError::NoMatch {
                    venue: venue.name(),
                    pattern: pattern.clone(),
                    listed: markets.len(),
                });
            }
        }
        Ok(codes)
    }
}

/// Spreads `wanted` over connections of at most `limit` subscriptions each. What a connection of
/// `before` carries stays with it, so that a change touches as few connections as can be; a
/// connection of which nothing is left stays as an empty one.
#[must_use]
pub fn spread(
    before: &[Vec<Subscription>],
    wanted: &[Subscription],
    limit: Option<usize>,
) -> Vec<Vec<Subscription>> {
    let limit = limit.unwrap_or(usize::MAX).max(1);
    let still: HashSet<&Subscription> = wanted.iter().collect();
    let carried: HashSet<&Subscription> = before.iter().flatten().collect();
    let mut groups: Vec<Vec<Subscription>> = before
        .iter()
        .map(|group| group.iter().filter(|one| still.contains(one)).cloned().collect())
        .collect();
    for one in wanted {
        if carried.contains(one) {
            continue;
        }
        match groups.iter_mut().find(|group| group.len() < limit) {
            Some(group) => group.push(one.clone()),
            None => groups.push(vec![one.clone()]),
        }
    }
    for group in &mut groups {
        group.sort();
    }
    groups
}

/// One of the markets asked for.
#[derive(Debug, Clone)]
enum Selector {
    Code(String),
    Pattern { pattern: String, matcher: GlobMatcher, depth: String },
}

impl Selector {
    fn parse(venue: &dyn Venue, word: &str, streams: &[Stream]) -> Result<Self, PlanError> {
        let (stem, depth) = match word.rsplit_once('.') {
            Some((stem, depth))
                if !depth.is_empty() && depth.bytes().all(|b| b.is_ascii_digit()) =>
            {
                (stem, format!(".{depth}"))
            }
            Some(_) | None => (word, String::new()),
        };
        let glob = if stem.eq_ignore_ascii_case("all") {
            "*"
        } else if stem.contains(['*', '?', '[', '{']) {
            stem
        } else {
            for &stream in streams {
                venue.subscription(stream, word)?;
            }
            return Ok(Self::Code(word.to_owned()));
        };
        let built = GlobBuilder::new(glob).case_insensitive(true).build();
        let matcher = built.map_err(|error| PlanError::BadPattern {
            pattern: word.to_owned(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self::Pattern { pattern: word.to_owned(), matcher: matcher.compile_matcher(), depth })
    }
}

impl Way {
    fn streams(self, venue: &dyn Venue) -> impl Iterator<Item = Stream> {
        let offers = venue.offers().iter().filter(move |offer| match self {
            Self::Live => offer.live,
            Self::Past => offer.history.is_some(),
        });
        offers.map(|offer| offer.stream)
    }

    fn offered(self, venue: &dyn Venue) -> String {
        self.streams(venue).map(Stream::name).collect::<Vec<_>>().join(", ")
    }

    fn stream(self, venue: &dyn Venue, word: &str) -> Result<Stream, PlanError> {
        let word = word.to_lowercase();
        if let Some(stream) = self.streams(venue).find(|stream| stream.name() == word) {
            return Ok(stream);
        }
        Err(PlanError::UnknownStream {
            venue: venue.name(),
            what: match self {
                Self::Live => "live stream",
                Self::Past => "past of stream",
            },
            hint: hint(&word, self.streams(venue).map(Stream::name)),
            offered: self.offered(venue),
            stream: word,
        })
    }
}

fn check_listed(
    venue: &dyn Venue,
    market: &Market,
    code: &str,
    listed: &HashSet<&Market>,
) -> Result<(), PlanError> {
    if listed.contains(market) {
        return Ok(());
    }
    // Sorted, so that of several equally near the same is named each time.
    let codes: BTreeSet<&str> = listed.iter().map(|market| market.as_str()).collect();
    Err(PlanError::UnknownMarket {
        venue: venue.name(),
        code: code.to_owned(),
        nearest: nearest(market.as_str(), codes).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
