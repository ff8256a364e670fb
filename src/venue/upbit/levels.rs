//! The levels of an order book: nine tenths of its bytes.

use std::cell::Cell;

use serde::de::SeqAccess;

use super::plain::Plain;
use super::value::{Read, Value};
use super::wire::Unit;
use crate::model::record::Doubles;

/// The levels of an order book, best first, without the padding (price 0) of either side.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) ask_price: Doubles,
    pub(super) ask_size: Doubles,
    pub(super) bid_price: Doubles,
    pub(super) bid_size: Doubles,
}

impl Read for Levels {
    const WHAT: &'static str = "a list of levels with a price and a size for each side";

    fn seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Option<Self>, A::Error> {
        let mut lists = Lists::take();
        let mut good = true;
        while let Some(unit) = seq.next_element::<Value<Unit>>()? {
            let Value::Is(unit) = unit else {
                good = false;
                continue;
            };
            good &= lists.add(
                &unit.ask_price.value,
                &unit.ask_size.value,
                &unit.bid_price.value,
                &unit.bid_size.value,
            );
        }
        Ok(good.then(|| lists.keep()))
    }

    /// Each level with its keys in the order in which the venue writes them.
    fn list(plain: &mut Plain<'_>) -> Option<Self> {
        let mut lists = Lists::take();
        plain.pass(b"[")?;
        loop {
            let ask_price = number_behind(plain, b"{\"ap\":", b"{\"ask_price\":")?;
            let bid_price = number_behind(plain, b",\"bp\":", b",\"bid_price\":")?;
            let ask_size = number_behind(plain, b",\"as\":", b",\"ask_size\":")?;
            let bid_size = number_behind(plain, b",\"bs\":", b",\"bid_size\":")?;
            plain.pass(b"}")?;
            add(ask_price, ask_size, &mut lists.ask_price, &mut lists.ask_size);
            add(bid_price, bid_size, &mut lists.bid_price, &mut lists.bid_size);
            if plain.pass(b",").is_none() {
                plain.pass(b"]")?;
                return Some(lists.keep());
            }
        }
    }
}

/// Levels in the making.
#[derive(Debug, Default)]
struct Lists {
    ask_price: Vec<f64>,
    ask_size: Vec<f64>,
    bid_price: Vec<f64>,
    bid_size: Vec<f64>,
}

/// A book this deep is none of the venue's: what it made the lists grow to is given back.
const DEEP: usize = 1_000;

thread_local! {
    /// Kept from book to book.
    static LISTS: Cell<Lists> = Cell::default();
}

impl Lists {
    /// Empty ones.
    fn take() -> Self {
        let mut lists = LISTS.take();
        lists.ask_price.clear();
        lists.ask_size.clear();
        lists.bid_price.clear();
        lists.bid_size.clear();
        lists
    }

    /// The levels that they hold.
    fn keep(self) -> Levels {
        let Self { ask_price, ask_size, bid_price, bid_size } = &self;
        let levels = Levels {
            ask_price: ask_price.as_slice().into(),
            ask_size: ask_size.as_slice().into(),
            bid_price: bid_price.as_slice().into(),
            bid_size: bid_size.as_slice().into(),
        };
        if ask_price.len().max(bid_price.len()) < DEEP {
            LISTS.set(self);
        }
        levels
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
#[inline]
fn number_behind(plain: &mut Plain<'_>, short: &[u8], long: &[u8]) -> Option<f64> {
    plain.pass(short).or_else(|| plain.pass(long))?;
    match Value::number(plain.number()?) {
        Value::Is(number) => Some(number),
        Value::Absent | Value::Odd => None,
    }
}

/// Adds one side of a level, unless it is padding.
#[inline]
fn add(price: f64, size: f64, prices: &mut Vec<f64>, sizes: &mut Vec<f64>) {
    if price != 0.0 {
        prices.push(price);
        sizes.push(size);
    }
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
            add(*price, *size, prices, sizes);
            true
        }
        (Value::Is(_) | Value::Absent | Value::Odd, _) => false,
    }
}
