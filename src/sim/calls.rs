//! The log of REST requests, for whoever counts them.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::http::Uri;
use serde_json::json;

use super::SimError;

/// Where requests are noted; nowhere if there is no file.
#[derive(Debug)]
pub(super) struct Calls(Option<Mutex<File>>);

impl Calls {
    pub(super) fn new(file: Option<File>) -> Self {
        Self(file.map(Mutex::new))
    }

    /// Notes a request that came at `at` (milliseconds) and is about to be answered. Each line is
    /// written at once, so that it is there when the simulator is killed.
    pub(super) fn note(&self, at: i64, group: &str, uri: &Uri, status: u16) {
        let Some(file) = &self.0 else { return };
        let url = uri.path_and_query().map_or_else(|| uri.path(), |url| url.as_str());
        let line = json!({ "at": at, "group": group, "url": url, "status": status });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "the simulator cannot write its log of requests");
        }
    }
}

/// A new file at `path`, where one is given.
pub(super) fn create(path: Option<&PathBuf>) -> Result<Option<File>, SimError> {
    path.map(File::create).transpose().map_err(|error| {
        let path = path.cloned().unwrap_or_default();
        SimError::File { path, error }
    })
}
