//! How the simulated venue misbehaves: read from a small TOML file, a list of `[[fault]]`.
//!
//! ```toml
//! [[fault]]               # every five seconds all connections are closed
//! every = "5s"
//! what = "drop"
//!
//! [[fault]]               # the second connection, and only that one, falls silent
//! after = "20s"
//! what = "stall"
//! for = "10s"
//! only = 2
//!
//! [[fault]]               # two REST requests are answered with HTML
//! after = "3s"
//! what = "rest_html"
//! count = 2
//!
//! [[fault]]
//! after = "30s"
//! what = "list"
//! markets = ["KRW-NEW"]
//! ```
//!
//! Each fault has exactly one of `after` (once, so long after the start) and `every` (again and
//! again, `times` often if that is given), and `what`:
//!
//! | `what` | does | takes |
//! |---|---|---|
//! | `drop` | close frame 1001, then the end of the connection | `only` |
//! | `drop_without_close` | the end of the connection, without a close frame | `only` |
//! | `reset` | the connection is reset; bytes under way may be lost | `only` |
//! | `error` | an error frame, then close 1000 | `only` |
//! | `stall` | no data; heartbeats and pongs go on. What happens meanwhile is not sent later | `for`, `only` |
//! | `freeze` | nothing at all, not even pongs | `for`, `only` |
//! | `garbage` | `count` frames that mean nothing, between the others | `count`, `only` |
//! | `duplicates` | every frame twice | `for`, `only` |
//! | `slow` | one frame each 50 ms; the rest queues | `for`, `only` |
//! | `unserved` | `markets` are accepted silently and get no frame | `for`, `markets` |
//! | `list`, `delist` | `markets` appear, or end; with `after` only | `markets` |
//! | `handshake_429`, `handshake_418` | handshakes are refused | `for`, `count` |
//! | `rest_429`, `rest_418`, `rest_500`, `rest_html` | that answer. 418 blocks the address for `for` | `for`, `count` |
//! | `rest_truncated`, `rest_slow`, `rest_timeout` | half a body, a body in small pieces over 5 s, no answer for 120 s | `for`, `count` |
//!
//! `only` is the number of a connection, in the order of handshakes from 1 on; without it every
//! connection that is open then is meant. `for` is 10 s and `count` is 1 where neither is given;
//! handshakes and REST requests are hit until both `for` is over and `count` is used up, if only
//! one is given until that is.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::SimError;

/// What happens in a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the module's table says what each one does")]
pub enum What {
    Drop,
    DropWithoutClose,
    Reset,
    Error,
    Stall,
    Freeze,
    Garbage,
    Duplicates,
    Slow,
    Unserved,
    List,
    Delist,
    #[serde(rename = "handshake_429")]
    Handshake429,
    #[serde(rename = "handshake_418")]
    Handshake418,
    #[serde(rename = "rest_429")]
    Rest429,
    #[serde(rename = "rest_418")]
    Rest418,
    #[serde(rename = "rest_500")]
    Rest500,
    RestHtml,
    RestTruncated,
    RestSlow,
    RestTimeout,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub what: What,
    /// Once, so long after the start.
    #[serde(default, deserialize_with = "duration")]
    pub after: Option<Duration>,
    /// Again and again.
    #[serde(default, deserialize_with = "duration")]
    pub every: Option<Duration>,
    /// How often at most, with `every`.
    pub times: Option<u32>,
    /// How long it lasts.
    #[serde(default, rename = "for", deserialize_with = "duration")]
    pub lasts: Option<Duration>,
    /// How many frames, handshakes or requests it hits.
    pub count: Option<u32>,
    /// The number of the connection it hits.
    pub only: Option<u64>,
    /// The markets it hits.
    #[serde(default)]
    pub markets: Vec<String>,
}

/// A list of faults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// The faults.
    #[serde(default, rename = "fault")]
    pub list: Vec<Fault>,
}

/// How long a fault lasts that does not say so.
const USUAL: Duration = Duration::from_secs(10);
/// The shortest `every`.
const SHORTEST: Duration = Duration::from_millis(10);

impl Faults {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SimError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SimError::File { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|reason| SimError::Faults { path: path.to_owned(), reason })
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let faults: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (place, fault) in (1..).zip(&faults.list) {
            fault.check().map_err(|reason| format!("fault {place}: {reason}"))?;
        }
        Ok(faults)
    }

    /// The markets of every `what`, and how long after the start.
    pub(super) fn markets(&self, what: What) -> impl Iterator<Item = (&String, Duration)> {
        self.list.iter().filter(move |fault| fault.what == what).flat_map(|fault| {
            fault.markets.iter().map(|one| (one, fault.after.unwrap_or_default()))
        })
    }
}

impl Fault {
    /// When it happens for the `nth` time, from 0 on, after the start.
    pub(super) fn firing(&self, nth: u32) -> Option<Duration> {
        match (self.after, self.every) {
            (Some(after), _) => (nth == 0).then_some(after),
            (None, Some(every)) => {
                let due = self.times.is_none_or(|times| nth < times);
                due.then(|| every.saturating_mul(nth + 1))
            }
            (None, None) => None,
        }
    }

    /// How long it lasts.
    pub(super) fn length(&self) -> Duration {
        self.lasts.unwrap_or(USUAL)
    }

    /// Whether it hits so many requests, and not a stretch of time.
    pub(super) const fn hits(&self) -> Option<u32> {
        match (self.count, self.lasts) {
            (None, None) => Some(1),
            (count, _) => count,
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.after.is_some() == self.every.is_some() {
            return Err("give either `after` or `every`".to_owned());
        }
        if self.every.is_some_and(|every| every < SHORTEST) {
            return Err(format!("`every` must be at least {SHORTEST:?}"));
        }
        let about_markets = matches!(self.what, What::Unserved | What::List | What::Delist);
        if about_markets == self.markets.is_empty() {
            let must = if about_markets { "needs" } else { "takes no" };
            return Err(format!("{:?} {must} `markets`", self.what));
        }
        if matches!(self.what, What::List | What::Delist) && self.every.is_some() {
            return Err(format!("{:?} happens once: give `after`", self.what));
        }
        if self.count == Some(0) || self.times == Some(0) {
            return Err("`count` and `times` are at least 1".to_owned());
        }
        Ok(())
    }
}

fn duration<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(reader)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_or_say_what_is_wrong() {
        let good = "[[fault]]\nevery='5s'\nwhat='drop'\ntimes=2\n\
                    [[fault]]\nafter='1m 3s'\nwhat='handshake_429'\ncount=3\n";
        let faults = Faults::parse(good).unwrap();
        let firings: Vec<_> = (0..4).map_while(|nth| faults.list[0].firing(nth)).collect();
        assert_eq!(firings, [Duration::from_secs(5), Duration::from_secs(10)]);
        assert_eq!(faults.list[1].firing(0), Some(Duration::from_secs(63)));
        assert_eq!(faults.list[1].firing(1), None);
        for (text, reason) in [
            ("[[fault]]\nwhat='drop'", "either `after` or `every`"),
            ("[[fault]]\nafter='1s'\nevery='1s'\nwhat='drop'", "either `after` or `every`"),
            ("[[fault]]\nevery='0s'\nwhat='drop'", "at least"),
            ("[[fault]]\nafter='soon'\nwhat='drop'", "expected number"),
            ("[[fault]]\nafter='1s'\nwhat='explode'", "unknown variant"),
            ("[[fault]]\nafter='1s'\nwhat='drop'\nfro='2s'", "unknown field"),
            ("[[fault]]\nafter='1s'\nwhat='unserved'", "needs `markets`"),
            ("[[fault]]\nafter='1s'\nwhat='drop'\nmarkets=['A']", "takes no `markets`"),
            ("[[fault]]\nevery='1s'\nwhat='list'\nmarkets=['A']", "happens once"),
            ("[[fault]]\nafter='1s'\nwhat='garbage'\ncount=0", "at least 1"),
        ] {
            let error = Faults::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
