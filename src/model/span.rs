//! Half-open ranges of time, `[from, to)`, and sets of them.
//!
//! Invariants: a [`Span`] is never empty; the spans of [`Spans`] are sorted, apart and not
//! touching.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;

/// A non-empty stretch of time: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    /// The span from `from` up to `to`; none where that is empty.
    #[must_use]
    pub fn new(from: Timestamp, to: Timestamp) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// The first instant inside.
    #[must_use]
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The first instant after.
    #[must_use]
    pub const fn to(self) -> Timestamp {
        self.to
    }

    /// How long it is.
    #[must_use]
    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// What both spans hold.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} .. {}", self.from, self.to)
    }
}

/// A set of instants, kept as the fewest spans that hold it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// The set with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds `span`, joining what it touches.
    pub fn insert(&mut self, span: Span) {
        let first = self.0.partition_point(|held| held.to < span.from);
        let last = self.0.partition_point(|held| held.from <= span.to);
        let touched = self.0.get(first..last).unwrap_or_default();
        let joined = touched.iter().fold(span, |all, held| Span {
            from: all.from.min(held.from),
            to: all.to.max(held.to),
        });
        self.0.splice(first..last, [joined]);
    }

    /// Takes `span` out.
    pub fn remove(&mut self, span: Span) {
        self.0 = self
            .0
            .iter()
            .flat_map(|held| {
                [
                    Span::new(held.from, held.to.min(span.from)),
                    Span::new(held.from.max(span.to), held.to),
                ]
            })
            .flatten()
            .collect();
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.0.len());
        for held in self.0 {
            let mut from = held.from;
            let first = other.0.partition_point(|gone| gone.to <= held.from);
            for gone in other.0.iter().skip(first).take_while(|gone| gone.from < held.to) {
                left.extend(Span::new(from, gone.from));
                from = gone.to;
            }
            left.extend(Span::new(from, held.to));
        }
        Self(left)
    }

    /// Whether `at` is in the set.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.begun_by(at).is_some_and(|held| held.contains(at))
    }

    /// The last span that began at `at` or before.
    #[must_use]
    pub fn begun_by(&self, at: Timestamp) -> Option<Span> {
        let after = self.0.partition_point(|held| held.from <= at);
        self.0.get(after.checked_sub(1)?).copied()
    }

    /// The last span.
    #[must_use]
    pub fn last(&self) -> Option<Span> {
        self.0.last().copied()
    }

    /// The time in the set, summed.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.0.iter().map(|span| span.length()).sum()
    }

    /// The part of the set inside `window`, summed.
    #[must_use]
    pub fn length_within(&self, window: Span) -> Duration {
        self.within(window).length()
    }

    /// The part of the set inside `window`.
    #[must_use]
    pub fn within(&self, window: Span) -> Self {
        let first = self.0.partition_point(|held| held.to <= window.from);
        let inside = self.0.iter().skip(first).take_while(|held| held.from < window.to);
        Self(inside.filter_map(|held| held.intersect(window)).collect())
    }

    /// What both sets hold.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().flat_map(|span| other.within(*span).0).collect())
    }

    /// The spans, earliest first.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::new();
        for span in spans {
            set.insert(span);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(from: i64, to: i64) -> Option<Span> {
        Span::new(Timestamp::from_micros(from), Timestamp::from_micros(to))
    }

    proptest! {
        /// The set against the plainest model of it: one flag for each instant.
        #[test]
        fn agrees_with_a_bitmap(steps in prop::collection::vec((any::<bool>(), 0_i64..60, 0_i64..20), 0..40)) {
            let mut set = Spans::new();
            let mut model = [false; 100];
            for (add, from, length) in steps {
                let Some(one) = span(from, from + length) else { continue };
                if add { set.insert(one) } else { set.remove(one) }
                for at in from..from + length {
                    model[usize::try_from(at).unwrap()] = add;
                }
            }
            for (at, held) in model.iter().enumerate() {
                prop_assert_eq!(set.contains(Timestamp::from_micros(i64::try_from(at).unwrap())), *held);
            }
            let spans: Vec<Span> = set.iter().collect();
            let cut: Spans = [(10, 30), (35, 36)].into_iter().filter_map(|(from, to)| span(from, to)).collect();
            let (both, left) = (set.and(&cut), set.clone().without(&cut));
            for at in (0..100).map(Timestamp::from_micros) {
                prop_assert_eq!(both.contains(at), set.contains(at) && cut.contains(at));
                prop_assert_eq!(left.contains(at), set.contains(at) && !cut.contains(at));
                prop_assert_eq!(set.begun_by(at), set.iter().take_while(|one| one.from <= at).last());
            }
            prop_assert!(left.0.windows(2).all(|pair| pair[0].to() < pair[1].from()));
            prop_assert!(spans.windows(2).all(|pair| pair[0].to() < pair[1].from()));
            let count = model.iter().filter(|held| **held).count();
            prop_assert_eq!(set.length(), Duration::from_micros(u64::try_from(count).unwrap()));
        }
    }

    #[test]
    fn an_empty_span_is_none() {
        assert_eq!(span(5, 5), None);
        assert_eq!(span(6, 5), None);
    }
}
