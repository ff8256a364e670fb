//! What can be asked, and who answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::archive::{self, Archive, ArchiveError};
use super::gate::{self, Gate};
use super::now::Board;
use super::{Sources, lags, metrics, page, reload, status};
use crate::model::market::Market;
use crate::model::subscription::Stream;

/// How old an answer about what is on the disk may be.
const FRESH: Duration = Duration::from_secs(1);
const FRESH_LONG: Duration = Duration::from_secs(10);
/// The same of one that takes long to make: every hour of weeks, market by market.
const FRESH_CALENDAR: Duration = Duration::from_secs(30);
/// Days of a calendar, and hours of prices, at most.
const DAYS: u16 = 60;
const HOURS: u64 = 24;
const GAPS: u32 = 1_000;
/// Characters of a name at most.
const NAME: usize = 64;

/// What all requests share.
pub(super) struct Shared {
    pub(super) sources: Sources,
    pub(super) board: Board,
    pub(super) gate: Gate,
    pub(super) counts: Counts,
    pub(super) archive: Archive,
}

/// What was asked so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) turned_away: AtomicU64,
    /// Answers by class: 2xx, 4xx, 5xx.
    pub(super) good: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl Counts {
    pub(super) fn answered(&self, status: StatusCode) {
        let count = match status {
            status if status.is_server_error() => &self.failed,
            status if status.is_client_error() => &self.refused,
            _ => &self.good,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) fn new(sources: Sources) -> Arc<Self> {
        Arc::new(Self {
            board: Board::new(sources.clock.now()),
            gate: Gate::new(sources.token.as_deref()),
            counts: Counts::default(),
            archive: Archive::new(&sources.data, Arc::clone(&sources.clock)),
            sources,
        })
    }
}

type Asked = State<Arc<Shared>>;

/// Everything that can be asked.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(the_page))
        .route("/metrics", get(the_metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/status.json", get(the_status))
        .route("/api/history", get(history))
        .route("/api/lags", get(hourly_lags))
        .route("/api/gaps", get(gaps))
        .route("/api/coverage", get(coverage))
        .route("/api/day", get(day))
        .route("/api/markets", get(markets))
        .route("/api/prices", get(prices))
        .route("/api/book", get(book))
        .route(reload::PATH, post(reload::answer))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is no such page") })
        .layer(from_fn_with_state(Arc::clone(&shared), gate::pass))
        .with_state(shared)
}

/// An answer that says no.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

async fn the_page(State(shared): Asked) -> Response {
    page::page(shared.gate.asks())
}

async fn the_metrics(State(shared): Asked) -> Response {
    let gaps = shared.archive.ask("gap counts".to_owned(), FRESH, |catalog, _, _| {
        let counts = catalog.gap_counts()?;
        Ok(counts.into_iter().map(|(state, count)| (state.to_string(), json!(count))).collect())
    });
    // Without an answer of the catalog the rest is told all the same.
    let gaps = gaps.await.ok();
    let text = metrics::text(&shared, &shared.board.now(), gaps.as_deref());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn health(State(shared): Asked) -> Response {
    let now = shared.board.now();
    let healthy = now.problems.is_empty();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let problems: Vec<Value> = now.problems.iter().map(status::problem).collect();
    let at = now.at.to_string();
    (status, Json(json!({ "healthy": healthy, "at": at, "problems": problems }))).into_response()
}

async fn ready(State(shared): Asked) -> Response {
    let now = shared.board.now();
    let status = if now.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let streams = now.progress.roll.streams.iter().map(|((venue, stream), one)| {
        let names = |markets: &[Market]| markets.iter().map(Market::to_string).collect::<Vec<_>>();
        json!({
            "venue": venue,
            "stream": stream.name(),
            "asked": one.asked,
            "served": one.served,
            "refused": one.refused.0,
            "refused_markets": names(&one.refused.1),
            "awaited": one.awaited.0,
            "awaited_markets": names(&one.awaited.1),
        })
    });
    let streams: Vec<Value> = streams.collect();
    (status, Json(json!({ "ready": now.ready, "streams": streams }))).into_response()
}

async fn the_status(State(shared): Asked) -> Result<Json<Value>, ArchiveError> {
    let held = shared
        .archive
        .ask("status".to_owned(), FRESH, |catalog, data, _| Ok(status::held(catalog, data, true)?));
    let mut document = held.await?.as_ref().clone();
    if let Some(document) = document.as_object_mut() {
        let live = status::live(&shared, &shared.board.now());
        document.insert("live".to_owned(), live);
    }
    Ok(Json(document))
}

async fn history(State(shared): Asked) -> Json<Value> {
    Json(shared.board.history())
}

#[derive(Deserialize)]
struct LagsQuery {
    hours: Option<u64>,
}

async fn hourly_lags(State(shared): Asked, query: Query<LagsQuery>) -> Response {
    let hours = query.hours.unwrap_or(24).clamp(1, HOURS * u64::from(DAYS));
    let now = shared.sources.clock.now();
    let since = now.hour().before(Duration::from_hours(hours.saturating_sub(1)));
    let name = format!("lags {hours}");
    let answer =
        shared.archive.ask(name, FRESH_LONG, move |catalog, _, _| lags::hours(catalog, since));
    told(answer.await)
}

#[derive(Deserialize)]
struct GapsQuery {
    limit: Option<u32>,
}

async fn gaps(State(shared): Asked, query: Query<GapsQuery>) -> Result<Json<Value>, ArchiveError> {
    let limit = query.limit.unwrap_or(100).min(GAPS);
    let name = format!("gaps {limit}");
    let answer =
        shared.archive.ask(name, FRESH, move |catalog, _, _| archive::gaps(catalog, limit));
    Ok(Json(answer.await?.as_ref().clone()))
}

#[derive(Deserialize)]
struct CoverageQuery {
    stream: String,
    days: Option<u16>,
}

async fn coverage(State(shared): Asked, query: Query<CoverageQuery>) -> Response {
    let Ok(stream) = query.stream.parse::<Stream>() else { return no_stream() };
    let days = query.days.unwrap_or(14).clamp(1, DAYS);
    let now = shared.sources.clock.now();
    let name = format!("coverage {stream} {days}");
    let answer = shared.archive.ask(name, FRESH_CALENDAR, move |catalog, _, _| {
        archive::calendar(catalog, stream, days, now)
    });
    told(answer.await)
}

#[derive(Deserialize)]
struct DayQuery {
    stream: String,
    date: String,
}

async fn day(State(shared): Asked, query: Query<DayQuery>) -> Response {
    let Ok(stream) = query.stream.parse::<Stream>() else { return no_stream() };
    let Ok(date) = query.date.parse::<chrono::NaiveDate>() else {
        return refusal(StatusCode::BAD_REQUEST, "write the date as 2026-11-21");
    };
    let name = format!("day {stream} {date}");
    let answer = shared
        .archive
        .ask(name, FRESH_LONG, move |catalog, _, _| archive::day(catalog, stream, date));
    told(answer.await)
}

async fn markets(State(shared): Asked) -> Response {
    let name = "markets".to_owned();
    told(shared.archive.ask(name, FRESH_LONG, |catalog, _, _| archive::markets(catalog)).await)
}

#[derive(Deserialize)]
struct MarketQuery {
    venue: String,
    market: String,
    hours: Option<u64>,
}

impl MarketQuery {
    fn market(&self) -> Option<Market> {
        let fits = |name: &str| !name.is_empty() && name.len() <= NAME;
        (fits(&self.venue) && fits(&self.market)).then(|| Market::new(self.market.as_str()))
    }
}

async fn prices(State(shared): Asked, query: Query<MarketQuery>) -> Response {
    let Some(market) = query.market() else { return no_market() };
    let hours = query.hours.unwrap_or(3).clamp(1, HOURS);
    let (venue, now) = (query.venue.clone(), shared.sources.clock.now());
    let name = format!("prices {venue} {market} {hours}");
    let answer = shared.archive.ask(name, FRESH_LONG, move |catalog, _, prices| {
        let length = Duration::from_secs(hours * 3_600);
        Ok(prices.prices(catalog, &venue, &market, length, now)?)
    });
    told(answer.await)
}

async fn book(State(shared): Asked, query: Query<MarketQuery>) -> Response {
    let Some(market) = query.market() else { return no_market() };
    let venue = query.venue.clone();
    let name = format!("book {venue} {market}");
    let answer = shared.archive.ask(name, FRESH_LONG, move |catalog, _, prices| {
        Ok(prices.book(catalog, &venue, &market)?)
    });
    told(answer.await)
}

fn told(answer: Result<Arc<Value>, ArchiveError>) -> Response {
    match answer {
        Ok(answer) => Json(answer.as_ref()).into_response(),
        Err(error) => error.into_response(),
    }
}

fn no_stream() -> Response {
    refusal(StatusCode::BAD_REQUEST, "there is no such stream")
}

fn no_market() -> Response {
    refusal(StatusCode::BAD_REQUEST, "say which venue and market")
}

impl IntoResponse for ArchiveError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Catalog(_) | Self::Prices(_) | Self::Lost => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::debug!("the status page has no answer: {self}");
        refusal(status, &self.to_string())
    }
}
