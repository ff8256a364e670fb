//! One client's connection: it takes requests, sends what the floor queued, and misbehaves when
//! told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::dice::{Dice, below};
use super::ending::{End, farewell};
use super::floor::{Link, Out};
use super::garbage::garbage;
use super::request::{self, Ask, Format, Plan, Refusal};
use super::shared::{Shared, Source};

/// Batches that may wait for a socket; one comes every 5 ms at most.
const BATCHES: usize = 16_384;
/// Orders that may wait for a socket.
const ORDERS: usize = 64;
/// Messages of a client in one second, and in one minute.
const MESSAGES: (usize, usize) = (5, 100);
/// How long after an error frame the connection is closed.
const ERROR_PAUSE: Duration = Duration::from_millis(150);
/// How long a write may still take once the connection shall end.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// How often a slow connection sends a frame.
const SLOW_EVERY: Duration = Duration::from_millis(50);

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Close frame 1001, then the end.
    Close,
    /// The end without a close frame.
    End,
    /// A TCP reset.
    Reset,
    /// An error frame, then close 1000.
    Error,
    /// The client is too far behind.
    TooSlow,
    /// No data.
    Stall(Duration),
    /// Nothing at all.
    Freeze(Duration),
    /// Every frame twice.
    Duplicates(Duration),
    /// One frame at a time.
    Slow(Duration),
    /// So many frames that mean nothing.
    Garbage(u32),
}

pub(super) struct Socket {
    number: u64,
    shared: Arc<Shared>,
    ws: WebSocketStream<TcpStream>,
    batches: mpsc::Receiver<Vec<Out>>,
    batches_in: mpsc::Sender<Vec<Out>>,
    orders: mpsc::Receiver<Order>,
    queued: Arc<AtomicUsize>,
    pending: VecDeque<Out>,
    opened: Instant,
    /// When the client was last heard.
    heard: Instant,
    messages: VecDeque<Instant>,
    /// When the next heartbeat is due, once the client asked for them.
    beat: Option<Instant>,
    write_at: Instant,
    stalled: Option<Instant>,
    frozen: Option<Instant>,
    twice: Option<Instant>,
    slow: Option<Instant>,
    plan: Plan,
    player: Option<AbortHandle>,
    dice: Dice,
}

impl Socket {
    pub(super) fn new(shared: Arc<Shared>, number: u64, ws: WebSocketStream<TcpStream>) -> Self {
        let (batches_in, batches) = mpsc::channel(BATCHES);
        let (orders_in, orders) = mpsc::channel(ORDERS);
        let queued = Arc::new(AtomicUsize::new(0));
        if let Some(mut floor) = shared.source.floor() {
            let limit = shared.options.socket_buffer;
            let link = Link::new(batches_in.clone(), orders_in.clone(), Arc::clone(&queued), limit);
            floor.join(number, link);
        }
        shared.join(number, orders_in);
        let now = Instant::now();
        let dice = Dice::of(&[shared.options.seed, number]);
        Self {
            number,
            shared,
            ws,
            batches,
            batches_in,
            orders,
            queued,
            pending: VecDeque::new(),
            opened: now,
            heard: now,
            messages: VecDeque::new(),
            beat: None,
            write_at: now,
            stalled: None,
            frozen: None,
            twice: None,
            slow: None,
            plan: Plan::default(),
            player: None,
            dice,
        }
    }

    /// Serves the client until one of both ends it.
    pub(super) async fn run(mut self) {
        let end = loop {
            if let Some(end) = self.turn().await {
                break end;
            }
        };
        if let Some(player) = &self.player {
            player.abort();
        }
        self.shared.leave(self.number);
        self.batches.close();
        while let Ok(batch) = self.batches.try_recv() {
            self.pending.extend(batch);
        }
        self.drop_pending();
        farewell(self.ws, end).await;
    }

    /// Does the next thing that is due.
    async fn turn(&mut self) -> Option<End> {
        let now = Instant::now();
        for until in [&mut self.stalled, &mut self.frozen, &mut self.twice, &mut self.slow] {
            *until = until.filter(|until| now < *until);
        }
        let (frozen, thaw) = (self.frozen.is_some(), self.frozen.unwrap_or(now));
        let idle_at = self.heard + self.shared.options.idle;
        let beat_at = self.beat.unwrap_or(now);
        tokio::select! {
            biased;
            () = self.shared.end.cancelled() => Some(End::Silent),
            Some(order) = self.orders.recv() => self.obey(order).await,
            () = sleep_until(thaw), if frozen => None,
            () = sleep_until(idle_at), if !frozen => Some(End::Silent),
            () = sleep_until(beat_at), if !frozen && self.beat.is_some() => self.heartbeat().await,
            message = self.ws.next(), if !frozen => self.hear(message).await,
            () = sleep_until(self.write_at), if !frozen && !self.pending.is_empty() => {
                self.write().await
            }
            Some(batch) = self.batches.recv(), if self.pending.is_empty() => {
                if frozen || self.stalled.is_some() {
                    self.settle(batch, false);
                } else {
                    self.pending.extend(batch);
                }
                None
            }
        }
    }

    async fn obey(&mut self, order: Order) -> Option<End> {
        let until = |length: Duration| Some(Instant::now() + length);
        match order {
            Order::Reset | Order::TooSlow => return Some(End::Reset),
            Order::End => return Some(self.write().await.unwrap_or(End::Silent)),
            Order::Close => return Some(self.write().await.unwrap_or(End::Close(CloseCode::Away))),
            Order::Error => {
                if let Some(end) = self.write().await {
                    return Some(end);
                }
                return self
                    .refuse(&Refusal::new("TOO_MANY_REQUEST", "요청 수가 너무 많습니다."))
                    .await;
            }
            Order::Stall(length) => {
                self.stalled = until(length);
                self.drop_pending();
            }
            Order::Freeze(length) => {
                self.frozen = until(length);
                self.drop_pending();
            }
            Order::Duplicates(length) => self.twice = until(length),
            Order::Slow(length) => self.slow = until(length),
            Order::Garbage(count) => {
                for nth in 0..count {
                    let bytes = garbage(nth, &mut self.dice);
                    if self.say(Message::Binary(bytes)).await.is_some() {
                        return Some(End::Gone);
                    }
                }
            }
        }
        None
    }

    async fn hear(&mut self, message: Option<Result<Message, Error>>) -> Option<End> {
        let Some(Ok(message)) = message else { return Some(End::Gone) };
        self.heard = Instant::now();
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return None,
            Message::Close(_) => return Some(End::Gone),
        };
        if text.trim() == "PING" {
            if self.beat.is_none() {
                self.beat = Some(self.first_beat());
            }
            return None;
        }
        if self.too_many() {
            let refusal = Refusal::new("TOO_MANY_REQUEST", "요청 수가 너무 많습니다.");
            return self.refuse(&refusal).await;
        }
        match request::read(text) {
            Ok(Ask::Subscribe(plan)) => {
                self.subscribe(plan);
                None
            }
            Ok(Ask::List { ticket, format }) => self.list(&ticket, format).await,
            Err(refusal) => self.refuse(&refusal).await,
        }
    }

    /// Heartbeats go by a clock of the connection's own; the first came 5.8 s to 7.5 s after it
    /// was opened.
    fn first_beat(&self) -> Instant {
        let every = self.shared.options.heartbeat.max(Duration::from_millis(1));
        let thousandths = 580 + u32::try_from(below(self.number << 32, 170)).unwrap_or(0);
        let mut at = self.opened + every * thousandths / 1_000;
        while at <= self.heard {
            at += every;
        }
        at
    }

    async fn heartbeat(&mut self) -> Option<End> {
        self.beat = self.beat.map(|beat| beat + self.shared.options.heartbeat);
        self.say(Message::Binary(r#"{"status":"UP"}"#.into())).await
    }

    fn too_many(&mut self) -> bool {
        let now = self.heard;
        self.messages.push_back(now);
        while self.messages.len() > MESSAGES.1 + 1 {
            self.messages.pop_front();
        }
        let within = |length| {
            let since = |at: &&Instant| now.saturating_duration_since(**at) < length;
            self.messages.iter().filter(since).count()
        };
        within(Duration::from_secs(1)) > MESSAGES.0 || within(Duration::from_mins(1)) > MESSAGES.1
    }

    fn subscribe(&mut self, plan: Plan) {
        self.plan = plan.clone();
        let shared = Arc::clone(&self.shared);
        match &shared.source {
            Source::Floor(..) => {
                if let Some(mut floor) = shared.source.floor() {
                    floor.subscribe(self.number, &plan);
                }
            }
            Source::Capture(capture) => {
                if let Some(player) = self.player.take() {
                    player.abort();
                }
                while let Ok(batch) = self.batches.try_recv() {
                    self.settle(batch, false);
                }
                self.drop_pending();
                let speed = shared.options.speed;
                let (batches, queued) = (self.batches_in.clone(), Arc::clone(&self.queued));
                let frames = Arc::clone(capture).play(plan, speed, batches, queued);
                self.player = Some(shared.tasks.spawn(frames).abort_handle());
            }
        }
    }

    /// Says what the connection carries; the request's format becomes that of the connection.
    async fn list(&mut self, ticket: &str, format: Format) -> Option<End> {
        self.plan.format = format;
        if let Some(mut floor) = self.shared.source.floor() {
            floor.reformat(self.number, format.simple, format.list);
        }
        let answer = super::garbage::subscriptions(&self.plan, ticket);
        self.say(Message::Binary(answer.into())).await
    }

    async fn refuse(&mut self, refusal: &Refusal) -> Option<End> {
        if let Some(end) = self.say(Message::Binary(refusal.frame().into())).await {
            return Some(end);
        }
        tokio::time::sleep(ERROR_PAUSE).await;
        Some(End::Close(CloseCode::Normal))
    }

    /// Sends one message that is not market data.
    async fn say(&mut self, message: Message) -> Option<End> {
        match timeout(LAST_WRITE, self.ws.send(message)).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) | Err(_) => Some(End::Gone),
        }
    }

    /// Writes what is pending, all of it unless the connection is slow.
    async fn write(&mut self) -> Option<End> {
        let count = if self.slow.is_some() { 1 } else { self.pending.len() };
        self.write_at =
            Instant::now() + if self.slow.is_some() { SLOW_EVERY } else { Duration::ZERO };
        let twice = self.twice.is_some();
        let mut late = None;
        let written = {
            let work = write_frames(&mut self.ws, self.pending.iter().take(count), twice);
            tokio::pin!(work);
            tokio::select! {
                biased;
                written = &mut work => written.is_ok(),
                () = self.shared.end.cancelled() => {
                    matches!(timeout(LAST_WRITE, work).await, Ok(Ok(())))
                }
                Some(order) = self.orders.recv() => {
                    late = Some(order);
                    let abrupt = matches!(order, Order::Reset | Order::TooSlow);
                    !abrupt && matches!(timeout(LAST_WRITE, work).await, Ok(Ok(())))
                }
            }
        };
        if !written {
            return Some(if late.is_some() { End::Reset } else { End::Gone });
        }
        let done: Vec<Out> = self.pending.drain(..count).collect();
        self.settle(done, true);
        match late {
            Some(order) => Box::pin(self.obey(order)).await,
            None => None,
        }
    }

    fn drop_pending(&mut self) {
        let unsent = std::mem::take(&mut self.pending);
        self.settle(unsent, false);
    }

    /// Notes in the ledger what became of frames that the floor had queued.
    fn settle(&self, frames: impl IntoIterator<Item = Out>, sent: bool) {
        let mut bytes = 0;
        let mut entries = self.shared.ledger.lock();
        for out in frames {
            bytes += out.bytes.len();
            if let Some(number) = out.entry {
                entries.settle(number, sent);
            }
        }
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

async fn write_frames(
    ws: &mut WebSocketStream<TcpStream>,
    frames: impl Iterator<Item = &Out>,
    twice: bool,
) -> Result<(), Error> {
    for out in frames {
        for _ in 0..=u8::from(twice) {
            ws.feed(Message::Binary(out.bytes.clone())).await?;
        }
    }
    ws.flush().await
}
