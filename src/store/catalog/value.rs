//! How our values lie in SQLite: instants as microseconds, closed vocabularies as their words.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::model::condition::Condition;
use crate::model::gap::{GapCause, GapState};
use crate::model::job::{JobKind, JobState};
use crate::model::market::{Market, Source};
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::paths::PartName;

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.micros().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self::from_micros)
    }
}

impl ToSql for Market {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Market {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

macro_rules! word {
    ($($ty:ty, |$value:ident| $text:expr;)+) => { $(
        impl ToSql for $ty {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let $value = self;
                Ok($text.into())
            }
        }

        impl FromSql for $ty {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )+ };
}

word! {
    Stream, |value| value.name();
    Condition, |value| value.as_str();
    GapCause, |value| value.as_str();
    GapState, |value| value.as_str();
    JobKind, |value| value.as_str();
    JobState, |value| value.as_str();
    Source, |value| value.as_str();
    PartName, |value| value.to_string();
}
