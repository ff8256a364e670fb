//! Holes in time: what is missing, why, and whether it was had again.

use smol_str::SmolStr;

use super::market::{Market, Source};
use super::subscription::Stream;
use super::time::Timestamp;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant, )+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word in the catalog and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::gap::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word).ok_or_else(|| $crate::model::gap::UnknownWord(word.to_owned()))
            }
        }
    };
}

pub(crate) use words;

/// A word that the ledger does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the gap ledger has no word {0:?}")]
pub struct UnknownWord(pub String);

words! {
    /// Why something is missing.
    GapCause {
        /// Nobody was recording: the time between two runs.
        Stopped = "stopped",
        /// The connection ended.
        Disconnect = "disconnect",
        /// The connection was up and told nothing.
        Silence = "silence",
        /// The venue never served it, or said no.
        Refused = "refused",
        /// The queue was full for longer than the venue waited.
        Overflow = "overflow",
        /// The disk took no more.
        Disk = "disk",
        /// Frames came that no decoder understood; their bytes are in stream `unread`.
        Unread = "unread",
        /// It was recorded, and the file that held it was damaged or lost.
        Damaged = "damaged",
    }
}

words! {
    /// What became of a gap.
    GapState {
        /// Not had again yet.
        Open = "open",
        /// All of it was had again.
        Repaired = "repaired",
        /// Some of it was had again.
        Partial = "partial",
        /// It cannot be had again: the venue keeps no history of it.
        BeyondRepair = "beyond_repair",
    }
}

/// One hole in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The venue's name.
    pub venue: SmolStr,
    /// The stream with the hole.
    pub stream: Stream,
    /// The market with the hole; all recorded markets of the stream where none is named.
    pub market: Option<Market>,
    /// The last proof of life before it. Clock: ours.
    pub from: Timestamp,
    /// The first data after it; none while it lasts. Clock: ours.
    pub to: Option<Timestamp>,
    /// Why.
    pub cause: GapCause,
    /// What became of it.
    pub state: GapState,
    /// Rows that a repair brought back.
    pub rows_repaired: u64,
    /// Where they were had again; none where nobody tried.
    pub source: Option<Source>,
    /// The cause in words, for whoever reads the ledger.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for cause in GapCause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
        }
        for state in GapState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert_eq!("lost".parse::<GapCause>(), Err(UnknownWord("lost".into())));
    }
}
