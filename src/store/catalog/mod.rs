//! The catalog: what is published, proven, missing and carried over, in one SQLite file.
//!
//! Invariants: a [`Change`] is there as a whole or not at all; a file is in the data if and only
//! if the catalog lists it; positions and segment numbers never go back; a closed session has no
//! open live span. One process writes (it has the folder's lock), any number read meanwhile. The
//! tables are in `schema.sql`.

mod change;
mod conditions;
mod coverage;
mod jobs;
mod migrate;
mod read;
mod recent;
mod retirement;
mod rows;
mod start;
mod value;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::paths::Paths;

pub use self::change::Change;
pub use self::conditions::ConditionRow;
pub use self::coverage::{CoveredHour, Subject};
pub use self::read::{Filter, Retired, StreamSummary};
pub use self::recent::GapCounts;
pub use self::rows::{
    Carry, HourLags, HourRows, InstrumentRow, LagRows, LiveSpan, Recount, Retirement, SessionRow,
    SessionTally,
};
pub use self::start::{Proven, Start};

/// The catalog's tables, as a new one is made.
pub const SCHEMA: &str = include_str!("schema.sql");

/// How long to wait for another connection that holds the file.
const BUSY: Duration = Duration::from_secs(10);
/// Statements kept ready: more than there are.
const STATEMENTS: usize = 64;
/// What the write-ahead log is cut to once its content is in the file, in bytes.
const LOG_LIMIT_BYTES: i64 = 64 << 20;

/// An open catalog.
#[derive(Debug)]
pub struct Catalog {
    db: Connection,
    path: PathBuf,
}

/// Why the catalog cannot be had, or does not take a change.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is none.
    #[error("{} holds no recording: there is no {}. Give the folder of one with --data", data.display(), path.display())]
    Absent {
        /// The folder it was looked for in.
        data: PathBuf,
        /// The catalog's place.
        path: PathBuf,
    },
    /// A newer program made it.
    #[error("{} is of version {found}, this program knows up to {known}: use the program that wrote it, or a newer one", path.display())]
    Newer {
        /// The catalog.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An older program made it, or it is not ours; reading does not change it.
    #[error("{} is of version {found}, this program reads {known}: record into the folder once, which brings it up", path.display())]
    Older {
        /// The catalog.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A change would undo what is published: a fault of this program.
    #[error("the change contradicts {}: {detail}", path.display())]
    Contradiction {
        /// The catalog.
        path: PathBuf,
        /// In what way.
        detail: String,
    },
    /// SQLite said no.
    #[error("could not {doing} {}: {source}", path.display())]
    Sqlite {
        /// The catalog.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl CatalogError {
    /// Whether the disk said no, or another process was in the way, so that the same may succeed
    /// later.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        let Self::Sqlite { source, .. } = self else { return false };
        matches!(
            source.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseBusy
            )
        )
    }

    fn sqlite(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Sqlite { path: path.clone(), doing, source }
    }
}

impl Catalog {
    /// Opens the catalog at `path` to write; makes it where there is none, and brings an older one
    /// up to this version.
    ///
    /// # Errors
    ///
    /// When a newer program made it, or SQLite says no.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let fault = CatalogError::sqlite("open", path);
        let mut db = Connection::open(path).map_err(&fault)?;
        let prepare = |db: &Connection| {
            db.busy_timeout(BUSY)?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "foreign_keys", true)?;
            db.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)?;
            db.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(())
        };
        prepare(&db).map_err(&fault)?;
        migrate::migrate(&mut db, path)?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// Opens the catalog at `path` to read, whether or not a recorder writes to it.
    ///
    /// # Errors
    ///
    /// When there is none, it is of another version, or SQLite says no.
    pub fn open_read(path: &Path) -> Result<Self, CatalogError> {
        if !path.exists() {
            let data = path.parent().unwrap_or(path).to_owned();
            return Err(CatalogError::Absent { data, path: path.to_owned() });
        }
        let db = connect_read(path).map_err(CatalogError::sqlite("open", path))?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        migrate::check(&db, path)?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// Opens the catalog of a data folder to read.
    ///
    /// # Errors
    ///
    /// As [`Catalog::open_read`].
    pub fn of_folder(data: &Path) -> Result<Self, CatalogError> {
        Self::open_read(&Paths::new(data).catalog())
    }

    /// Takes a change: all of it, in one transaction that is synced, or none.
    ///
    /// # Errors
    ///
    /// When it contradicts what is published, or SQLite says no. Nothing of it is there then.
    pub fn publish(&mut self, change: &Change) -> Result<(), CatalogError> {
        let fault = CatalogError::sqlite("publish to", &self.path);
        let tx =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        change::apply(&tx, change).map_err(|refusal| match refusal {
            change::Refusal::Sqlite(source) => fault(source),
            change::Refusal::Contradiction(detail) => {
                CatalogError::Contradiction { path: self.path.clone(), detail }
            }
        })?;
        tx.commit().map_err(&fault)
    }

    /// Runs several reads on one state of the catalog, whatever is written meanwhile.
    ///
    /// # Errors
    ///
    /// What `read` says, or SQLite.
    pub fn snapshot<T, E: From<CatalogError>>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        // Dropped, it ends; nothing was written in it.
        let _held =
            self.db.unchecked_transaction().map_err(CatalogError::sqlite("read", &self.path))?;
        read(self)
    }

    /// Runs a read, and says what it was for if it fails.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogError> {
        read(&self.db).map_err(CatalogError::sqlite("read", &self.path))
    }
}

/// A read-only connection. Where this user may not make the files that SQLite shares between
/// processes, and none is there, nobody writes: the file can be read as it lies.
fn connect_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let probe = |db: Connection| {
        db.busy_timeout(BUSY)?;
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(db)
    };
    let first = Connection::open_with_flags(path, flags).and_then(probe);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match first {
        Err(e)
            if matches!(
                e.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            ) && !Path::new(&log).exists() =>
        {
            let name = uri(path);
            Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI).and_then(probe)
        }
        done => done,
    }
}

/// `path` as SQLite's URI of a file that does not change.
fn uri(path: &Path) -> String {
    let mut name = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'=' => {
                name.push(char::from(*byte));
            }
            other => name.extend(format!("%{other:02x}").chars()),
        }
    }
    name + "?immutable=1"
}
