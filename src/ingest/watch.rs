//! Is this connection telling us anything? Pure: it is told the monotonic time, and answers.
//!
//! A connection can be up, answer pings and tell nothing. How long no data is too long, only its
//! own rate can say: a busy market is silent for a tenth of a second, a dead one for hours. So
//! nothing is silence before enough was seen, and what comes in bursts counts by the burst.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::model::market::Market;
use crate::model::subscription::{Stream, Subscription};

/// Silence is never declared before so long.
pub const SILENCE_FLOOR: Duration = Duration::from_secs(5);
/// Beats that must have been seen before silence means anything at all.
const FEW: u64 = 5;
/// Beats from which on they are trusted; with fewer, silence has to be longer in proportion.
const ENOUGH: u64 = 20;
/// Frames closer than this are one beat: twenty trades of one order say nothing of the next.
const BEAT: Duration = Duration::from_millis(100);
/// Silence is so many times the mean distance of beats.
const TIMES_MEAN: u32 = 10;
/// Silence is so many times the longest recent distance of beats.
const TIMES_LONGEST: u32 = 3;
/// What is recent: so many pages of so long each.
const PAGES: usize = 20;
const PAGE: Duration = Duration::from_secs(30);

/// The rate of one connection's data, as it has been lately.
#[derive(Debug, Clone, Default)]
pub struct Rhythm {
    pages: VecDeque<Page>,
    /// The last beat; none before the first, and after a pause of our own making.
    last_beat: Option<Duration>,
    /// From when on silence counts.
    quiet_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Page {
    from: Duration,
    beats: u64,
    sum: Duration,
    longest: Duration,
}

impl Rhythm {
    /// A connection that told nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { pages: VecDeque::new(), last_beat: None, quiet_since: None }
    }

    /// A data frame came at `now`. One that only answers our asking breaks the silence and says
    /// nothing of the rate: `asked`.
    pub fn data(&mut self, now: Duration, asked: bool) {
        self.quiet_since = Some(now);
        if asked {
            return;
        }
        match self.last_beat.map(|last| now.saturating_sub(last)) {
            Some(distance) if distance < BEAT => return,
            Some(distance) => self.learn(now, distance),
            None => {}
        }
        self.last_beat = Some(now);
    }

    /// We did not read for a while, until `now`: silence counts from here, and the distance to the
    /// next frame says nothing.
    pub fn resumed(&mut self, now: Duration) {
        if self.quiet_since.is_some() {
            self.quiet_since = Some(now);
        }
        self.last_beat = None;
    }

    /// How long no data is too long; none where too little is known.
    #[must_use]
    pub fn threshold(&self) -> Option<Duration> {
        let beats: u64 = self.pages.iter().map(|page| page.beats).sum();
        if beats < FEW {
            return None;
        }
        let doubt = u32::try_from(ENOUGH.div_ceil(beats.min(ENOUGH))).unwrap_or(1);
        let sum: Duration = self.pages.iter().map(|page| page.sum).sum();
        let mean = sum / u32::try_from(beats).unwrap_or(u32::MAX);
        let longest = self.pages.iter().map(|page| page.longest).max().unwrap_or_default();
        Some(
            SILENCE_FLOOR
                .max(mean.saturating_mul(TIMES_MEAN * doubt))
                .max(longest.saturating_mul(TIMES_LONGEST * doubt)),
        )
    }

    /// The silence at `now`, where it is longer than the rate of this connection explains.
    #[must_use]
    pub fn broken(&self, now: Duration) -> Option<Duration> {
        let silence = now.saturating_sub(self.quiet_since?);
        (silence >= self.threshold()?).then_some(silence)
    }

    fn learn(&mut self, now: Duration, distance: Duration) {
        if self.pages.back().is_none_or(|page| now.saturating_sub(page.from) >= PAGE) {
            if self.pages.len() == PAGES {
                self.pages.pop_front();
            }
            let page = Page { from: now, beats: 0, sum: Duration::ZERO, longest: Duration::ZERO };
            self.pages.push_back(page);
        }
        if let Some(page) = self.pages.back_mut() {
            page.beats += 1;
            page.sum += distance;
            page.longest = page.longest.max(distance);
        }
    }
}

/// Which subscriptions of a session have not shown a frame yet.
#[derive(Debug, Clone, Default)]
pub struct FirstFrames {
    missing: HashSet<(Stream, Market)>,
}

impl FirstFrames {
    /// All of `subscriptions` are missing.
    #[must_use]
    pub fn of(subscriptions: &[Subscription]) -> Self {
        Self { missing: subscriptions.iter().map(|one| (one.stream, one.market.clone())).collect() }
    }

    /// A frame of this stream and market came; says whether it is the first.
    pub fn seen(&mut self, stream: Stream, market: &Market) -> bool {
        self.missing.remove(&(stream, market.clone()))
    }

    /// Whether every subscription has shown a frame.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Those that have not, sorted.
    #[must_use]
    pub fn missing(&self) -> Vec<(Stream, Market)> {
        let mut missing: Vec<_> = self.missing.iter().cloned().collect();
        missing.sort();
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// `steps` are (how often, how many milliseconds apart, whether it only answers our asking).
    fn rhythm(steps: &[(u64, u64, bool)]) -> (Rhythm, Duration) {
        let (mut rhythm, mut now) = (Rhythm::new(), ms(1_000));
        for &(times, apart, asked) in steps {
            for _ in 0..times {
                now += ms(apart);
                rhythm.data(now, asked);
            }
        }
        (rhythm, now)
    }

    #[test]
    fn silence_is_learned() {
        type Row = (&'static str, &'static [(u64, u64, bool)], Option<u64>);
        let table: &[Row] = &[
            ("nothing", &[], None),
            ("too little", &[(5, 200, false)], None),
            ("few", &[(6, 2_000, false)], Some(80_000)),
            ("nearly enough", &[(20, 2_000, false)], Some(40_000)),
            ("busy", &[(21, 200, false)], Some(5_000)),
            ("very busy", &[(2_000, 1, false)], Some(5_000)),
            ("very busy for longer", &[(4_000, 1, false)], Some(5_000)),
            ("slow", &[(30, 2_000, false)], Some(20_000)),
            ("one long pause", &[(500, 200, false), (1, 8_000, false)], Some(24_000)),
            ("one burst is one beat", &[(1_000, 0, false), (15, 3_000, false)], Some(60_000)),
            ("answers teach nothing", &[(855, 10, true)], None),
            ("answers first", &[(855, 10, true), (21, 600, false)], Some(6_000)),
            (
                "a pause is forgotten",
                &[(30, 200, false), (1, 60_000, false), (4_000, 200, false)],
                Some(5_000),
            ),
        ];
        for (name, steps, threshold) in table {
            let (rhythm, now) = rhythm(steps);
            assert_eq!(rhythm.threshold(), threshold.map(ms), "{name}");
            let Some(threshold) = threshold else {
                assert_eq!(rhythm.broken(now + ms(86_400_000)), None, "{name}");
                continue;
            };
            assert_eq!(rhythm.broken(now + ms(threshold - 1)), None, "{name}");
            assert_eq!(rhythm.broken(now + ms(*threshold)), Some(ms(*threshold)), "{name}");
        }
    }

    #[test]
    fn answers_break_the_silence_of_a_known_rate() {
        let (mut rhythm, now) = rhythm(&[(30, 200, false)]);
        rhythm.data(now + ms(4_000), true);
        assert_eq!(rhythm.broken(now + ms(5_000)), None);
    }

    #[test]
    fn our_own_pause_is_not_the_venues_silence() {
        let (mut rhythm, now) = rhythm(&[(30, 200, false)]);
        rhythm.resumed(now + ms(60_000));
        assert_eq!(rhythm.broken(now + ms(64_000)), None);
        rhythm.data(now + ms(64_500), false);
        assert_eq!(rhythm.threshold(), Some(ms(5_000)));
        assert_eq!(rhythm.broken(now + ms(69_500)), Some(ms(5_000)));
    }

    #[test]
    fn first_frames_are_first_once() {
        let market = |code: &str| Market::new(code);
        let subscription =
            |stream, code| Subscription { stream, market: market(code), depth: None };
        let mut first = FirstFrames::of(&[
            subscription(Stream::Trade, "B"),
            subscription(Stream::Trade, "A"),
            subscription(Stream::Ticker, "A"),
        ]);
        assert!(first.seen(Stream::Trade, &market("A")));
        assert!(!first.seen(Stream::Trade, &market("A")));
        assert!(!first.seen(Stream::Orderbook, &market("A")));
        assert_eq!(first.missing(), [(Stream::Trade, market("B")), (Stream::Ticker, market("A"))]);
        assert!(first.seen(Stream::Trade, &market("B")) && !first.complete());
        assert!(first.seen(Stream::Ticker, &market("A")) && first.complete());
    }
}
