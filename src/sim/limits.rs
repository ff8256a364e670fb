//! The venue's limits, counted as it counts them, and what tests want to know about a client.
//!
//! A group's window is the clock's second: `sec` of `Remaining-Req` is what is left of it, and the
//! next full second begins with the whole allowance. Refused requests are not counted against it.
//! After many refusals within a minute the address is blocked altogether (418), each time for
//! twice as long.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::market::{MINUTE, SECOND};

/// Requests in a second of each REST group.
pub(super) const REST_RATE: u32 = 10;
/// Handshakes in a second.
pub(super) const HANDSHAKE_RATE: u32 = 5;
/// How often a client that sends `Origin` may call.
const ORIGIN_EVERY: i64 = 10 * SECOND;
/// So many refusals within a minute make a block.
const STRIKES: usize = 30;
/// How long the first block lasts.
const BLOCK: i64 = 10 * SECOND;
/// How many different `Origin` headers are kept.
const ORIGINS: usize = 100;

/// The venue's answer to a request, before it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on; so many requests are left in this second.
    Go(u32),
    /// Too many: 429.
    Wait,
    /// Blocked for so many more seconds: 418.
    Blocked(i64),
}

/// One group's counters.
#[derive(Debug, Clone, Default)]
struct Group {
    second: i64,
    used: u32,
    requests: u64,
    refused: u64,
    /// The most requests, refused ones included, in a second of the clock, and in any 1,000 ms.
    max_clock: u32,
    max_sliding: usize,
    tried: u32,
    recent: VecDeque<i64>,
}

impl Group {
    fn take(&mut self, now: i64, rate: u32) -> Option<u32> {
        let second = now.div_euclid(SECOND);
        if second != self.second {
            (self.second, self.used, self.tried) = (second, 0, 0);
        }
        self.requests += 1;
        self.tried += 1;
        self.max_clock = self.max_clock.max(self.tried);
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|earlier| now - earlier >= SECOND) {
            self.recent.pop_front();
        }
        self.max_sliding = self.max_sliding.max(self.recent.len());
        if self.used >= rate {
            self.refused += 1;
            return None;
        }
        self.used += 1;
        Some(rate - self.used)
    }
}

/// All counters of one simulator. Every client counts as one address.
#[derive(Debug, Default)]
pub(super) struct Gate {
    groups: BTreeMap<&'static str, Group>,
    origins: Vec<String>,
    origin_at: Option<i64>,
    strikes: VecDeque<i64>,
    blocks: u32,
    blocked_until: i64,
    pub(super) last_handshake: String,
    pub(super) handshakes: u64,
}

impl Gate {
    /// Counts a request of a group, and says whether it may go on.
    pub(super) fn judge(
        &mut self,
        group: &'static str,
        rate: u32,
        origin: Option<&str>,
        now: i64,
    ) -> Verdict {
        let left = self.groups.entry(group).or_default().take(now, rate);
        if now < self.blocked_until {
            return Verdict::Blocked((self.blocked_until - now + SECOND - 1) / SECOND);
        }
        let early = origin.is_some_and(|origin| self.origin(origin, now));
        match left {
            Some(left) if !early => Verdict::Go(if origin.is_some() { 0 } else { left }),
            Some(_) | None => self.strike(now),
        }
    }

    /// Blocks the address for a while, as if it had been refused too often.
    pub(super) fn block(&mut self, until: i64) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Notes an `Origin` header; true if it came too early.
    fn origin(&mut self, origin: &str, now: i64) -> bool {
        if self.origins.len() < ORIGINS && !self.origins.iter().any(|seen| seen == origin) {
            self.origins.push(origin.to_owned());
        }
        let early = self.origin_at.is_some_and(|earlier| now - earlier < ORIGIN_EVERY);
        if !early {
            self.origin_at = Some(now);
        }
        early
    }

    fn strike(&mut self, now: i64) -> Verdict {
        self.strikes.push_back(now);
        while self.strikes.front().is_some_and(|earlier| now - earlier >= MINUTE) {
            self.strikes.pop_front();
        }
        if self.strikes.len() > STRIKES {
            self.strikes.clear();
            self.blocked_until = now + (BLOCK << self.blocks.min(10));
            self.blocks += 1;
            return Verdict::Blocked((self.blocked_until - now) / SECOND);
        }
        Verdict::Wait
    }

    /// Everything counted, as `GET /sim/stats` says it.
    pub(super) fn report(&self) -> Value {
        let groups: BTreeMap<&str, Value> = self
            .groups
            .iter()
            .map(|(name, group)| {
                let value = json!({
                    "requests": group.requests,
                    "refused": group.refused,
                    "max_in_clock_second": group.max_clock,
                    "max_in_any_second": group.max_sliding,
                });
                (*name, value)
            })
            .collect();
        json!({
            "groups": groups,
            "handshakes": self.handshakes,
            "last_handshake": self.last_handshake,
            "origins": self.origins,
            "blocks": self.blocks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_allows_so_many_and_the_next_as_many_again() {
        let mut gate = Gate::default();
        let now = 1_790_000_000_900;
        let ask = |gate: &mut Gate, now| gate.judge("candles", REST_RATE, None, now);
        for left in (0..10).rev() {
            assert_eq!(ask(&mut gate, now), Verdict::Go(left));
        }
        assert_eq!(ask(&mut gate, now), Verdict::Wait);
        assert_eq!(gate.judge("trade", REST_RATE, None, now), Verdict::Go(9), "another group");
        assert_eq!(ask(&mut gate, now + 100), Verdict::Go(9), "another second");
        let stats = gate.report();
        let candles = &stats["groups"]["candles"];
        assert_eq!(candles["max_in_clock_second"], 11);
        assert_eq!(candles["max_in_any_second"], 12);
        assert_eq!(candles["refused"], 1);
    }

    #[test]
    fn many_refusals_block_for_longer_each_time() {
        let mut gate = Gate::default();
        let mut now = 1_790_000_000_000;
        for block in [10, 20, 40] {
            let verdicts: Vec<Verdict> =
                (0..41).map(|_| gate.judge("candles", REST_RATE, None, now)).collect();
            assert_eq!(verdicts.iter().filter(|one| **one == Verdict::Wait).count(), 30);
            assert_eq!(verdicts.last(), Some(&Verdict::Blocked(block)));
            assert_eq!(gate.judge("market", REST_RATE, None, now + 1), Verdict::Blocked(block));
            now += block * SECOND;
            assert_eq!(gate.judge("market", REST_RATE, None, now), Verdict::Go(9));
            now += SECOND;
        }
    }

    #[test]
    fn an_origin_may_call_once_in_ten_seconds() {
        let mut gate = Gate::default();
        let mut ask = |now| gate.judge("ticker", REST_RATE, Some("https://a.example"), now);
        assert_eq!(ask(0), Verdict::Go(0));
        assert_eq!(ask(9_999), Verdict::Wait);
        assert_eq!(ask(10_000), Verdict::Go(0));
        assert_eq!(gate.report()["origins"], json!(["https://a.example"]));
    }
}
