//! Sets of frames: which of them rows came in.

use std::ops::Range;

use super::Ends;

/// A set of frames, kept as the fewest stretches of sequences that hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames(Vec<Range<i64>>);

impl Frames {
    /// Adds a frame; each has a higher sequence than the one before.
    pub fn push(&mut self, frame: i64) {
        match self.0.last_mut() {
            Some(last) if last.end == frame => last.end = frame.saturating_add(1),
            _ => self.0.push(frame..frame.saturating_add(1)),
        }
    }

    /// Whether `frame` is in the set.
    #[must_use]
    pub fn contains(&self, frame: i64) -> bool {
        self.stretch(frame).is_some()
    }

    /// Whether every frame from one end to the other is in the set.
    #[must_use]
    pub fn cover(&self, ends: Ends<i64>) -> bool {
        self.stretch(ends.min).is_some_and(|stretch| stretch.contains(&ends.max))
    }

    /// Whether some frame from one end to the other is in the set.
    #[must_use]
    pub fn touch(&self, ends: Ends<i64>) -> bool {
        let after = self.0.partition_point(|stretch| stretch.end <= ends.min);
        self.0.get(after).is_some_and(|stretch| stretch.start <= ends.max)
    }

    /// The first and the last; none where it is empty.
    #[must_use]
    pub fn ends(&self) -> Option<Ends<i64>> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        Some(Ends { min: first.start, max: last.end - 1 })
    }

    /// The stretches from one end to the other that are not in the set.
    #[must_use]
    pub fn holes(&self, ends: Ends<i64>) -> Vec<Range<i64>> {
        let stop = ends.max.saturating_add(1);
        let mut from = ends.min;
        let mut holes = Vec::new();
        for stretch in self.0.iter().chain([&(stop..stop)]) {
            let until = stretch.start.min(stop);
            if from < until {
                holes.push(from..until);
            }
            from = from.max(stretch.end);
        }
        holes
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|stretch| stretch.end.abs_diff(stretch.start)).sum()
    }

    fn stretch(&self, frame: i64) -> Option<&Range<i64>> {
        let after = self.0.partition_point(|stretch| stretch.end <= frame);
        self.0.get(after).filter(|stretch| stretch.contains(&frame))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_the_plainest_set(model: BTreeSet<u8>, a: u8, b: u8) {
            let model: BTreeSet<i64> = model.into_iter().map(|one| i64::from(one) / 4).collect();
            let mut frames = Frames::default();
            for frame in &model {
                frames.push(*frame);
            }
            prop_assert!(frames.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            let (a, b) = (i64::from(a) / 4, i64::from(b) / 4);
            let ends = Ends { min: a.min(b), max: a.max(b) };
            let within = || ends.min..=ends.max;
            prop_assert_eq!(frames.contains(a), model.contains(&a));
            prop_assert_eq!(frames.cover(ends), within().all(|one| model.contains(&one)));
            prop_assert_eq!(frames.touch(ends), within().any(|one| model.contains(&one)));
            let holes: Vec<i64> = frames.holes(ends).into_iter().flatten().collect();
            let lacking: Vec<i64> = within().filter(|one| !model.contains(one)).collect();
            prop_assert_eq!(holes, lacking);
            prop_assert_eq!(frames.count(), model.len() as u64);
            let both = model.first().zip(model.last());
            prop_assert_eq!(frames.ends(), both.map(|(min, max)| Ends { min: *min, max: *max }));
        }
    }
}
