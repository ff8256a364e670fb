//! `[retain]` of the configuration: what is kept, by stream and in all.

use std::collections::BTreeMap;
use std::str::FromStr;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::maintain::retain::{Limits, Policy};
use crate::model::spelling::hint;
use crate::model::subscription::Stream;

/// The key of what is kept of everything together.
const TOTAL: &str = "total";
/// The key of all units of candles.
const CANDLE: &str = "candle";

/// How much is kept: a length of time, a number of bytes that ends in `B`, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept(Limits);

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut limits = Limits::default();
        for one in text.split(',').map(str::trim) {
            let wrong = || {
                format!(
                    "{one:?} is no limit; write a time such as \"30d\" or bytes such as \"500GB\""
                )
            };
            if one.ends_with(['B', 'b']) {
                limits.bytes = Some(one.parse::<ByteSize>().map_err(|_| wrong())?.as_u64());
            } else {
                limits.age = Some(humantime::parse_duration(one).map_err(|_| wrong())?);
            }
        }
        Ok(Self(limits))
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let age = self.0.age.map(|age| humantime::format_duration(age).to_string());
        let bytes = self.0.bytes.map(|bytes| format!("{bytes} B"));
        let both: Vec<String> = [age, bytes].into_iter().flatten().collect();
        serializer.serialize_str(&both.join(", "))
    }
}

/// What `[retain]` or the command line says, as the policy that it is.
pub(super) fn policy(kept: &BTreeMap<String, Kept>) -> Result<Policy, String> {
    let mut policy = Policy::default();
    for (name, Kept(limits)) in kept {
        if name == TOTAL {
            if limits.age.is_some() {
                return Err("total is a number of bytes, such as \"500GB\"".to_owned());
            }
            policy.total = limits.bytes;
            continue;
        }
        let streams: Vec<Stream> = Stream::all().filter(|stream| is(*stream, name)).collect();
        if streams.is_empty() {
            let known = Stream::all().map(Stream::name).chain([TOTAL, CANDLE]);
            return Err(format!("there is no stream {name:?}{}", hint(name, known)));
        }
        for stream in streams {
            // A unit's own limit goes before that of all of them.
            if name == CANDLE && kept.contains_key(stream.name()) {
                continue;
            }
            policy.streams.insert(stream, *limits);
        }
    }
    Ok(policy)
}

fn is(stream: Stream, name: &str) -> bool {
    stream.name() == name || (name == CANDLE && matches!(stream, Stream::Candle(_)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::subscription::CandleUnit;

    fn read(pairs: &[(&str, &str)]) -> Result<Policy, String> {
        let pair = |(name, limit): &(&str, &str)| Ok(((*name).to_owned(), limit.parse()?));
        policy(&pairs.iter().map(pair).collect::<Result<_, String>>()?)
    }

    #[test]
    fn limits_are_times_or_bytes() {
        let day = Duration::from_hours(24);
        let policy = read(&[
            ("orderbook", "30d"),
            ("candle", "1d"),
            ("candle.1s", "2d, 5 KB"),
            ("total", "500GB"),
        ])
        .unwrap();
        assert_eq!(policy.total, Some(500_000_000_000));
        let of = |stream| policy.streams.get(&stream).copied().unwrap_or_default();
        assert_eq!(of(Stream::Orderbook), Limits { age: Some(30 * day), bytes: None });
        assert_eq!(of(Stream::Trade), Limits::default());
        assert_eq!(
            of(Stream::Candle(CandleUnit::S1)),
            Limits { age: Some(2 * day), bytes: Some(5_000) }
        );
        assert_eq!(of(Stream::Candle(CandleUnit::M1)), Limits { age: Some(day), bytes: None });
        for (name, limit, says) in [
            ("orderboks", "30d", "did you mean \"orderbook\"?"),
            ("total", "30d", "total is a number of bytes"),
            ("trade", "a while", "is no limit"),
            ("trade", "500", "is no limit"),
            ("trade", "5 XB", "is no limit"),
            ("trade", "", "is no limit"),
        ] {
            let error = read(&[(name, limit)]).unwrap_err();
            assert!(error.contains(says), "{name} = {limit}: {error}");
        }
    }
}
