//! The ways in which a session can be carried, for tests that hold for all of them; and frames made
//! by hand, by another library than the one that reads them.

use crate::net::connect::Connector;

/// Which library reads, and what the other side says to its offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The library without compression.
    Plain,
    /// The other library; its offer is not taken.
    #[cfg(feature = "deflate")]
    Refused,
    /// Messages are packed, each with what came before in mind.
    #[cfg(feature = "deflate")]
    Packed,
    /// Messages are packed, each alone.
    #[cfg(feature = "deflate")]
    PackedAlone,
}

impl Way {
    /// All that this build has.
    #[cfg(not(feature = "deflate"))]
    pub(crate) const ALL: [Self; 1] = [Self::Plain];
    /// All that this build has.
    #[cfg(feature = "deflate")]
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Refused, Self::Packed, Self::PackedAlone];

    /// Has `connector` go this way.
    pub(crate) fn of(self, connector: Connector) -> Connector {
        if self == Self::Plain { connector } else { connector.with_deflate().unwrap() }
    }

    /// What the other side adds to its answer.
    pub(crate) const fn answer(self) -> &'static str {
        match self {
            Self::Plain => "",
            #[cfg(feature = "deflate")]
            Self::Refused => "",
            #[cfg(feature = "deflate")]
            Self::Packed => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            #[cfg(feature = "deflate")]
            Self::PackedAlone => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
            }
        }
    }

    /// Whether messages are packed.
    pub(crate) const fn packs(self) -> bool {
        !self.answer().is_empty()
    }
}

/// One frame, as a server sends it.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match body.len() {
        short @ 0..126 => frame.push(u8::try_from(short).unwrap()),
        medium @ 126..65_536 => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(body);
    frame
}

/// Makes the messages of one connection.
pub(crate) struct Packer {
    #[cfg(feature = "deflate")]
    way: Way,
    #[cfg(feature = "deflate")]
    deflate: flate2::Compress,
}

impl Packer {
    pub(crate) fn new(way: Way) -> Self {
        #[cfg(not(feature = "deflate"))]
        assert!(!way.packs());
        Self {
            #[cfg(feature = "deflate")]
            way,
            #[cfg(feature = "deflate")]
            deflate: flate2::Compress::new(flate2::Compression::default(), false),
        }
    }

    /// The frames of a message of kind `opcode`, in so many parts.
    pub(crate) fn message(&mut self, opcode: u8, body: &[u8], parts: usize) -> Vec<Vec<u8>> {
        const FIN: u8 = 0x80;
        let (mark, body) = self.pack(body);
        let size = body.len().div_ceil(parts).max(1);
        let mut frames: Vec<_> = (0..parts)
            .map(|part| {
                let from = (part * size).min(body.len());
                let to = (from + size).min(body.len());
                frame(if part == 0 { opcode | mark } else { 0 }, &body[from..to])
            })
            .collect();
        frames.last_mut().unwrap()[0] |= FIN;
        frames
    }

    /// The message in one frame.
    pub(crate) fn whole(&mut self, opcode: u8, body: &[u8]) -> Vec<u8> {
        self.message(opcode, body, 1).remove(0)
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, reason = "it packs in the other build")]
    fn pack(&mut self, body: &[u8]) -> (u8, Vec<u8>) {
        (0, body.to_vec())
    }

    /// The mark of a packed message, and its bytes.
    #[cfg(feature = "deflate")]
    fn pack(&mut self, body: &[u8]) -> (u8, Vec<u8>) {
        const PACKED: u8 = 0x40;
        const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
        if !self.way.packs() {
            return (0, body.to_vec());
        }
        if body.is_empty() {
            // Nothing to flush makes no block; this is the head of an empty one.
            return (PACKED, vec![0]);
        }
        let mut packed = Vec::with_capacity(body.len() + 1_024);
        self.deflate.compress_vec(body, &mut packed, flate2::FlushCompress::Sync).unwrap();
        assert!(packed.ends_with(&TAIL));
        packed.truncate(packed.len() - TAIL.len());
        if self.way == Way::PackedAlone {
            self.deflate.reset();
        }
        (PACKED, packed)
    }
}
