//! `POST /reload`: the settings are read again, by whoever runs the recorder.
//!
//! It changes something, so that it always needs the token: where none is asked for, nobody may.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::routes::{Shared, refusal};

/// Where it is asked for.
pub(super) const PATH: &str = "/reload";

/// A request to read the settings again.
#[derive(Debug)]
pub struct Ask {
    /// Takes what became of it.
    pub reply: oneshot::Sender<Reloaded>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reloaded {
    /// Keys that have changed, and hold from now on.
    pub applied: Vec<String>,
    /// Keys that have changed, and wait for a restart.
    pub refused: Vec<Refused>,
    /// Why nothing was changed at all.
    pub error: Option<String>,
}

/// A key whose change does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The key.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Reloaded {
    /// Nothing was changed.
    #[must_use]
    pub fn failed(why: String) -> Self {
        Self { error: Some(why), ..Self::default() }
    }

    const fn status(&self) -> StatusCode {
        if self.error.is_some() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else if self.refused.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::CONFLICT
        }
    }
}

/// Asks whoever can read them, and waits for what became of it.
pub(super) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    let Some(asks) = &shared.sources.reload else {
        return refusal(StatusCode::CONFLICT, "this recorder does not read its settings again");
    };
    let (reply, answer) = oneshot::channel();
    match asks.try_send(Ask { reply }) {
        Err(mpsc::error::TrySendError::Full(_)) => {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "another reload is under way");
        }
        // Then the answer never comes either.
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
    }
    match answer.await {
        Ok(reloaded) => (reloaded.status(), Json(reloaded)).into_response(),
        Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE, "the recorder is ending"),
    }
}
