//! The versions of the catalog: forward only, each in one transaction with its number.

use rusqlite::{Connection, TransactionBehavior};

use super::{CatalogError, SCHEMA};

/// What leads to each version from the one before. The first makes a new catalog.
const MIGRATIONS: &[(i64, &str)] = &[(1, SCHEMA)];

/// The version that this program reads and writes: the last of them.
pub(super) const VERSION: i64 = 1;

/// Brings the catalog to [`VERSION`].
pub(super) fn migrate(db: &mut Connection, path: &std::path::Path) -> Result<(), CatalogError> {
    let fault = CatalogError::sqlite("migrate", path);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
    let found = version(&tx).map_err(&fault)?;
    if found > VERSION {
        return Err(CatalogError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    for (_, step) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        tx.execute_batch(step).map_err(&fault)?;
    }
    tx.pragma_update(None, "user_version", VERSION).map_err(&fault)?;
    tx.commit().map_err(&fault)
}

/// Refuses a catalog of another version.
pub(super) fn check(db: &Connection, path: &std::path::Path) -> Result<(), CatalogError> {
    let found = version(db).map_err(CatalogError::sqlite("read the version of", path))?;
    let path = path.to_owned();
    match found.cmp(&VERSION) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(CatalogError::Newer { path, found, known: VERSION }),
        std::cmp::Ordering::Less => Err(CatalogError::Older { path, found, known: VERSION }),
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_step() {
        let versions: Vec<i64> = MIGRATIONS.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (1..=VERSION).collect::<Vec<_>>());
    }
}
