//! Frames that no decoder understood.

use bytes::Bytes;
use smol_str::SmolStr;

use super::cell::record;

record! {
    /// One frame that could not be read, kept as it came. Its time is `ts_recv`.
    Unread {
        /// Why it could not be read.
        reason: SmolStr,
        /// The frame, byte for byte.
        body: Bytes,
    }
}
