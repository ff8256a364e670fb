//! The levels of an order book: nine tenths of its bytes.

use serde::de::SeqAccess;

use super::plain::{Plain, ReadPlain as _};
use super::value::{Read, Value};
use super::wire::Unit;

/// Levels of a whole book of most markets.
const LEVELS: usize = 30;

/// The levels of an order book, best first, without the padding (price 0) of either side.
#[derive(Debug, Default)]
pub(super) struct Levels {
    pub(super) ask_price: Vec<f64>,
    pub(super) ask_size: Vec<f64>,
    pub(super) bid_price: Vec<f64>,
    pub(super) bid_size: Vec<f64>,
}

impl Read for Levels {
    const WHAT: &'static str = "a list of levels with a price and a size for each side";

    fn seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut levels = Self::with_room(seq.size_hint().unwrap_or_default());
        let mut good = true;
        while let Some(unit) = seq.next_element::<Value<Unit>>()? {
            let Value::Is(unit) = unit else {
                good = false;
                continue;
            };
            good &= levels.add(
                &unit.ask_price.value,
                &unit.ask_size.value,
                &unit.bid_price.value,
                &unit.bid_size.value,
            );
        }
        Ok(good.then_some(levels))
    }

    /// Each level with its keys in the order in which the venue writes them.
    fn list(plain: &mut Plain<'_>) -> Option<Self> {
        let mut levels = Self::with_room(LEVELS);
        plain.pass(b"[")?;
        loop {
            let ask_price = number_behind(plain, b"{\"ap\":", b"{\"ask_price\":")?;
            let bid_price = number_behind(plain, b",\"bp\":", b",\"bid_price\":")?;
            let ask_size = number_behind(plain, b",\"as\":", b",\"ask_size\":")?;
            let bid_size = number_behind(plain, b",\"bs\":", b",\"bid_size\":")?;
            plain.pass(b"}")?;
            if !levels.add(&ask_price, &ask_size, &bid_price, &bid_size) {
                return None;
            }
            if plain.pass(b",").is_none() {
                plain.pass(b"]")?;
                return Some(levels);
            }
        }
    }
}

impl Levels {
    fn with_room(room: usize) -> Self {
        let with_room = || Vec::with_capacity(room);
        Self {
            ask_price: with_room(),
            ask_size: with_room(),
            bid_price: with_room(),
            bid_size: with_room(),
        }
    }

    /// Adds one level; false where a side of it has no price or no size.
    fn add(
        &mut self,
        ask_price: &Value<f64>,
        ask_size: &Value<f64>,
        bid_price: &Value<f64>,
        bid_size: &Value<f64>,
    ) -> bool {
        side(ask_price, ask_size, &mut self.ask_price, &mut self.ask_size)
            & side(bid_price, bid_size, &mut self.bid_price, &mut self.bid_size)
    }
}

/// The number behind one of two names.
fn number_behind(plain: &mut Plain<'_>, short: &[u8], long: &[u8]) -> Option<Value<f64>> {
    plain.pass(short).or_else(|| plain.pass(long))?;
    Value::read_plain(plain)
}

/// Adds one side of a level; false where it has no price or no size.
fn side(
    price: &Value<f64>,
    size: &Value<f64>,
    prices: &mut Vec<f64>,
    sizes: &mut Vec<f64>,
) -> bool {
    match (price, size) {
        (Value::Is(0.0), _) => true,
        (Value::Is(price), Value::Is(size)) => {
            prices.push(*price);
            sizes.push(*size);
            true
        }
        (Value::Is(_) | Value::Absent | Value::Odd, _) => false,
    }
}
