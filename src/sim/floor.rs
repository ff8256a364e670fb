//! All markets and all subscribers: what happens is written into the ledger and handed to the
//! sockets that asked for it.
//!
//! Invariants:
//! - A frame is rendered once for each way it is wanted, and its bytes are shared by all sockets.
//! - What one socket has not taken yet is bounded by frames and by bytes. A socket that is behind
//!   by more is cut off: a trade is never left out of a connection that goes on.
//! - The SNAPSHOTs of a subscription are queued before its first REALTIME frame, and no trade
//!   lies between the two.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::book::GROUPINGS;
use super::ledger::{Entries, Ledger};
use super::live::{Event, Live};
use super::market::Market;
use super::rates::{self, Heard};
use super::render::{self, View};
use super::request::{Kind, Plan, Want};
use super::socket::Order;

/// One frame on its way, and the ledger's number of the trade in it.
#[derive(Debug, Clone)]
pub(super) struct Out {
    pub(super) bytes: Bytes,
    pub(super) entry: Option<u64>,
}

/// The floor's end of a socket.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) batches: mpsc::Sender<Vec<Out>>,
    pub(super) orders: mpsc::Sender<Order>,
    /// Bytes that the socket has not written yet.
    pub(super) queued: Arc<AtomicUsize>,
    /// How many there may be.
    pub(super) limit: usize,
    batch: Vec<Out>,
    cut: bool,
}

impl Link {
    pub(super) fn new(
        batches: mpsc::Sender<Vec<Out>>,
        orders: mpsc::Sender<Order>,
        queued: Arc<AtomicUsize>,
        limit: usize,
    ) -> Self {
        Self { batches, orders, queued, limit, batch: Vec::new(), cut: false }
    }

    /// Hands over what was gathered; true if the socket was too slow.
    fn send(&mut self, entries: &mut Entries) -> bool {
        if self.batch.is_empty() {
            return false;
        }
        let batch = std::mem::take(&mut self.batch);
        let bytes = batch.iter().map(|out| out.bytes.len()).sum();
        let queued = self.queued.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let refused = if self.cut || queued > self.limit {
            Some(batch)
        } else {
            self.batches.try_send(batch).err().map(mpsc::error::TrySendError::into_inner)
        };
        let Some(batch) = refused else { return false };
        for number in batch.iter().filter_map(|out| out.entry) {
            entries.settle(number, false);
        }
        // Where the socket has ended, or has no room for the order, a later batch finds out.
        let cut_before = std::mem::replace(&mut self.cut, true);
        if !cut_before {
            self.cut = self.orders.try_send(Order::TooSlow).is_ok();
        }
        self.cut && !cut_before
    }
}

#[derive(Debug, Clone, Copy)]
struct Listener {
    socket: u64,
    kind: Kind,
    view: View,
}

#[derive(Debug)]
struct Desk {
    live: Live,
    weight: f64,
    rate: f64,
    listeners: Vec<Listener>,
    /// The ledger's number of the last trade.
    entry: Option<u64>,
    unserved_until: i64,
}

/// The markets and who listens to them.
#[derive(Debug)]
pub(super) struct Floor {
    desks: Vec<Desk>,
    by_code: HashMap<String, usize>,
    links: BTreeMap<u64, Link>,
    ledger: Ledger,
    rate: f64,
    now: i64,
    /// Frames that were queued, and sockets that were cut off because they were too slow.
    pub(super) frames: u64,
    pub(super) too_slow: u64,
}

impl Floor {
    /// The markets as of `now`; `weights` says how busy each is.
    pub(super) fn new(
        markets: &[Market],
        weights: &[f64],
        rate: f64,
        now: i64,
        ledger: Ledger,
    ) -> Self {
        let trades = rates::trades(rate, weights);
        let heard = vec![Heard::default(); markets.len()];
        let books = rates::books(rate, &trades, weights, &heard);
        let by_code = (0..).zip(markets).map(|(n, one)| (one.listing.code.clone(), n)).collect();
        let desks = markets
            .iter()
            .zip(weights)
            .zip(trades.into_iter().zip(books))
            .map(|((market, weight), (rate, books))| Desk {
                live: Live::new(market.clone(), now, books),
                weight: *weight,
                rate,
                listeners: Vec::new(),
                entry: None,
                unserved_until: 0,
            })
            .collect();
        Self { desks, by_code, links: BTreeMap::new(), ledger, rate, now, frames: 0, too_slow: 0 }
    }

    /// Lets time go on to `now`.
    pub(super) fn pump(&mut self, now: i64) {
        let Self { desks, links, ledger, frames, too_slow, .. } = self;
        let mut entries = ledger.lock();
        for (place, desk) in desks.iter_mut().enumerate() {
            if desk.live.due() > now {
                continue;
            }
            let Desk { live, listeners, entry, unserved_until, .. } = desk;
            let mut cache = Vec::new();
            live.step(now, &mut |live, event| {
                let number = match event {
                    Event::Trade(trade) => {
                        *entry = Some(entries.add(place, trade));
                        *entry
                    }
                    Event::Book | Event::Ticker | Event::Candle(_) => None,
                };
                if live.market.is_open(live.upto()) && *unserved_until <= live.upto() {
                    cache.clear();
                    let told = (live, event, number);
                    *frames += tell(told, listeners, links, &mut entries, &mut cache);
                }
            });
        }
        for link in links.values_mut() {
            *too_slow += u64::from(link.send(&mut entries));
        }
        entries.advance(now);
        self.now = now;
    }

    /// A socket that may subscribe.
    pub(super) fn join(&mut self, socket: u64, link: Link) {
        self.links.insert(socket, link);
    }

    /// A socket that is gone.
    pub(super) fn leave(&mut self, socket: u64) {
        self.links.remove(&socket);
        self.forget(socket);
        self.pace();
    }

    /// Replaces what a socket listens to, and sends the SNAPSHOTs.
    pub(super) fn subscribe(&mut self, socket: u64, plan: &Plan) {
        self.forget(socket);
        for want in &plan.wants {
            for (code, depth) in &want.codes {
                let Some(place) = self.by_code.get(code).copied() else { continue };
                let view = View {
                    simple: plan.format.simple,
                    list: plan.format.list,
                    depth: *depth,
                    grouping: 1,
                    snapshot: true,
                };
                self.listen(socket, place, want, view);
            }
        }
        self.pace();
        if let Some(link) = self.links.get_mut(&socket) {
            self.too_slow += u64::from(link.send(&mut self.ledger.lock()));
        }
    }

    /// Changes the format of what a socket listens to.
    pub(super) fn reformat(&mut self, socket: u64, simple: bool, list: bool) {
        for desk in &mut self.desks {
            for listener in desk.listeners.iter_mut().filter(|one| one.socket == socket) {
                listener.view = View { simple, list, ..listener.view };
            }
        }
    }

    /// Sends nothing of these markets until `until`.
    pub(super) fn unserve(&mut self, codes: &[String], until: i64) {
        for code in codes {
            let desk = self.by_code.get(code).and_then(|place| self.desks.get_mut(*place));
            if let Some(desk) = desk {
                desk.unserved_until = until;
            }
        }
    }

    /// The markets that are listed now.
    pub(super) fn open(&self) -> impl Iterator<Item = &Live> {
        self.desks.iter().map(|desk| &desk.live).filter(|live| live.market.is_open(self.now))
    }

    /// The market that has this code, if it is listed now.
    pub(super) fn find(&self, code: &str) -> Option<&Live> {
        let place = self.by_code.get(code)?;
        let live = &self.desks.get(*place)?.live;
        live.market.is_open(self.now).then_some(live)
    }

    fn listen(&mut self, socket: u64, place: usize, want: &Want, view: View) {
        let Some(desk) = self.desks.get_mut(place) else { return };
        let Some(grouping) = grouping(&desk.live.market, want.level) else { return };
        let kind = want.kind;
        let twice = desk.listeners.iter().any(|one| one.socket == socket && one.kind == kind);
        let now = self.now;
        if twice || !desk.live.market.is_open(now) || desk.unserved_until > now {
            return;
        }
        let view = View { grouping, ..view };
        desk.live.day.roll(now);
        let mut entries = self.ledger.lock();
        if want.snapshot
            && let Some(link) = self.links.get_mut(&socket)
            && let Some(bytes) = snapshot(&desk.live, kind, view)
        {
            let entry = match (kind, desk.live.last) {
                (Kind::Trade, Some(last)) => {
                    let number = *desk.entry.get_or_insert_with(|| entries.add(place, last));
                    entries.queue(number);
                    Some(number)
                }
                (Kind::Trade | Kind::Book | Kind::Ticker | Kind::Candle(_), _) => None,
            };
            link.batch.push(Out { bytes, entry });
            self.frames += 1;
        }
        if want.realtime {
            desk.listeners.push(Listener { socket, kind, view: View { snapshot: false, ..view } });
        }
    }

    fn forget(&mut self, socket: u64) {
        for desk in &mut self.desks {
            desk.listeners.retain(|one| one.socket != socket);
        }
    }

    /// Sets how often books are told, so that the whole comes near the wanted rate.
    fn pace(&mut self) {
        let heard: Vec<Heard> = self.desks.iter().map(heard).collect();
        let weights: Vec<f64> = self.desks.iter().map(|desk| desk.weight).collect();
        let trades: Vec<f64> = self.desks.iter().map(|desk| desk.rate).collect();
        let books = rates::books(self.rate, &trades, &weights, &heard);
        for ((desk, heard), books) in self.desks.iter_mut().zip(heard).zip(books) {
            desk.live.books = books;
            desk.live.watched = heard.book;
        }
    }
}

fn heard(desk: &Desk) -> Heard {
    let mut units = [0_u8; super::candle::LIVE_UNITS.len()];
    let mut heard = Heard::default();
    for listener in &desk.listeners {
        match listener.kind {
            Kind::Trade => heard.trades = true,
            Kind::Book => heard.book = true,
            Kind::Ticker => heard.ticker = true,
            Kind::Candle(place) => {
                if let Some(unit) = units.get_mut(place) {
                    *unit = 1;
                }
            }
        }
    }
    heard.candles = units.iter().sum();
    heard
}

/// How many price steps a level has; none where the market does not offer that.
pub(super) fn grouping(market: &Market, level: f64) -> Option<i64> {
    GROUPINGS
        .into_iter()
        .take(if market.listing.code.starts_with("KRW-") { GROUPINGS.len() } else { 1 })
        .find(|steps| (render::grouping(market, *steps).to_f64() - level).abs() < 1e-12)
}

fn snapshot(live: &Live, kind: Kind, view: View) -> Option<Bytes> {
    match kind {
        Kind::Trade => live.last.map(|last| render::trade(live, &last, view)),
        Kind::Book => Some(book(live, view)),
        Kind::Ticker => render::ticker(live, view),
        Kind::Candle(place) => {
            let bar = live.bars.get(place)?.as_ref()?;
            Some(render::candle(&live.market, place, bar, view))
        }
    }
}

fn book(live: &Live, view: View) -> Bytes {
    if view.grouping == 1 {
        return render::book(&live.market, &live.book(), view);
    }
    render::book(&live.market, &live.market.book(live.slot(), view.grouping), view)
}

/// Queues an event for everyone who listens to it; gives how many frames that are.
fn tell(
    (live, event, number): (&Live, Event, Option<u64>),
    listeners: &[Listener],
    links: &mut BTreeMap<u64, Link>,
    entries: &mut Entries,
    cache: &mut Vec<(View, Bytes)>,
) -> u64 {
    let (kind, traded) = match event {
        Event::Trade(trade) => (Kind::Trade, Some(trade)),
        Event::Book => (Kind::Book, None),
        Event::Ticker => (Kind::Ticker, None),
        Event::Candle(place) => (Kind::Candle(place), None),
    };
    let mut frames = 0;
    for listener in listeners.iter().filter(|listener| listener.kind == kind) {
        let view = listener.view;
        let held = cache.iter().find(|one| one.0 == view).map(|one| one.1.clone());
        let made = || match traded {
            Some(trade) => Some(render::trade(live, &trade, view)),
            None => snapshot(live, kind, view),
        };
        let Some(bytes) = held.or_else(|| made().inspect(|made| cache.push((view, made.clone()))))
        else {
            continue;
        };
        if let Some(link) = links.get_mut(&listener.socket) {
            if let Some(number) = number {
                entries.queue(number);
            }
            link.batch.push(Out { bytes, entry: number });
            frames += 1;
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With room for many batches, the bytes alone decide.
    #[test]
    fn a_socket_is_cut_off_once_when_it_is_behind_by_too_many_bytes() {
        let ledger = Ledger::new(Arc::default(), 0, 1, None);
        let (batches, mut taken) = mpsc::channel(16);
        let (orders, mut told) = mpsc::channel(16);
        let mut link = Link::new(batches, orders, Arc::default(), 10);
        let mut cuts = Vec::new();
        for bytes in ["12345", "12345", "1", "2"] {
            link.batch.push(Out { bytes: Bytes::from_static(bytes.as_bytes()), entry: None });
            cuts.push(link.send(&mut ledger.lock()));
        }
        assert_eq!(cuts, [false, false, true, false]);
        assert_eq!(told.try_recv(), Ok(Order::TooSlow));
        told.try_recv().unwrap_err();
        let arrived = std::iter::from_fn(|| taken.try_recv().ok()).count();
        assert_eq!(arrived, 2, "nothing goes on after a gap");
    }
}
