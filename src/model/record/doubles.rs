//! Lists of doubles: the levels of order books, nine tenths of what is recorded.
//!
//! They are made by the thousand on the thread that decodes and let go on the one that writes
//! files, so they stand in a [`Slab`] of their thread's own.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zerocopy::{FromBytes as _, IntoBytes as _};

use crate::model::slab::Slab;

/// Memory for lists: as many pieces as the rows that wait for their files may take.
const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 4_096;

thread_local! {
    static SLAB: Cell<Option<Slab>> = const { Cell::new(None) };
}

/// A list of doubles that does not change any more. A copy of it shares its memory.
#[derive(Clone, Default)]
pub struct Doubles(Bytes);

impl Doubles {
    /// The doubles.
    #[must_use]
    pub fn list(&self) -> Cow<'_, [f64]> {
        // A piece of the slab is aligned as any memory is, and holds nothing but doubles. Were it
        // not, this would only be slower.
        <[f64]>::ref_from_bytes(&self.0).map_or_else(|_| self.copied().into(), Cow::Borrowed)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len() / size_of::<f64>()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<f64> {
        self.0.first_chunk().map(|bytes| f64::from_ne_bytes(*bytes))
    }

    fn copied(&self) -> Vec<f64> {
        let (each, _) = self.0.as_chunks();
        each.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect()
    }
}

impl From<&[f64]> for Doubles {
    fn from(list: &[f64]) -> Self {
        let mut slab = SLAB.take().unwrap_or_else(|| Slab::new(PIECE_BYTES, PIECES));
        let kept = slab.keep(list.as_bytes());
        SLAB.set(Some(slab));
        Self(kept)
    }
}

impl<const N: usize> From<[f64; N]> for Doubles {
    fn from(list: [f64; N]) -> Self {
        list.as_slice().into()
    }
}

impl FromIterator<f64> for Doubles {
    fn from_iter<I: IntoIterator<Item = f64>>(iter: I) -> Self {
        iter.into_iter().collect::<Vec<_>>().as_slice().into()
    }
}

impl PartialEq for Doubles {
    fn eq(&self, other: &Self) -> bool {
        self.list() == other.list()
    }
}

impl fmt::Debug for Doubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list().fmt(f)
    }
}

impl Serialize for Doubles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Doubles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|list| list.as_slice().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_was_put_in_wherever_it_stands() {
        for length in [0, 1, 2, 30, 31, 5_000] {
            let list: Vec<f64> = std::iter::repeat_n(0.1, length).collect();
            let doubles = Doubles::from(list.as_slice());
            assert_eq!(*doubles.list(), list);
            let borrowed = matches!(doubles.list(), Cow::Borrowed(_));
            assert!(borrowed || list.is_empty(), "{length} doubles were copied");
            assert_eq!((doubles.len(), doubles.first()), (length, list.first().copied()));
        }
        let mut askew = vec![0];
        askew.extend_from_slice([1.5, -2.25].as_bytes());
        let askew = Doubles(Bytes::from(askew).slice(1..));
        assert_eq!(*askew.list(), [1.5, -2.25]);
        assert_eq!(askew, Doubles::from([1.5, -2.25]));
        let json = serde_json::to_string(&askew).unwrap();
        assert_eq!(json, "[1.5,-2.25]");
        assert_eq!(serde_json::from_str::<Doubles>(&json).unwrap(), askew);
    }
}
