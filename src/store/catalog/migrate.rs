//! The versions of the catalog: forward only, all steps in one transaction with the number.
//!
//! A new catalog is made as it is now; an older one is brought there step by step, and a step that
//! was released stays as it is. A test makes one of each version and compares.

use rusqlite::{Connection, TransactionBehavior};

use super::{CatalogError, SCHEMA};

/// What leads to each version from the one before.
const STEPS: &[(i64, &str)] = &[(2, include_str!("step_2.sql"))];

/// The version that this program writes: that of [`SCHEMA`], and the last of [`STEPS`].
pub(super) const VERSION: i64 = 2;

/// The earliest version whose tables have the columns that questions ask for: it is read as it is,
/// if more slowly.
const READABLE: i64 = 1;

/// Brings the catalog to [`VERSION`].
pub(super) fn migrate(db: &mut Connection, path: &std::path::Path) -> Result<(), CatalogError> {
    let fault = CatalogError::sqlite("migrate", path);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
    let found = version(&tx).map_err(&fault)?;
    if found > VERSION {
        return Err(CatalogError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    if found == 0 {
        tx.execute_batch(SCHEMA).map_err(&fault)?;
    } else if found < VERSION {
        tracing::info!("bringing {} from version {found} to {VERSION}", path.display());
        for (_, step) in STEPS.iter().filter(|(version, _)| *version > found) {
            tx.execute_batch(step).map_err(&fault)?;
        }
    }
    tx.pragma_update(None, "user_version", VERSION).map_err(&fault)?;
    tx.commit().map_err(&fault)
}

/// Refuses a catalog of a version that cannot be read.
pub(super) fn check(db: &Connection, path: &std::path::Path) -> Result<(), CatalogError> {
    let found = version(db).map_err(CatalogError::sqlite("read the version of", path))?;
    let path = path.to_owned();
    match found {
        READABLE..=VERSION => Ok(()),
        ..READABLE => Err(CatalogError::Older { path, found, known: VERSION }),
        _ => Err(CatalogError::Newer { path, found, known: VERSION }),
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    /// The tables of version 1, as they were released.
    const FIRST: &str = include_str!("tests/version_1.sql");

    #[test]
    fn every_version_has_its_step() {
        let versions: Vec<i64> = STEPS.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (2..=VERSION).collect::<Vec<_>>());
        assert!(
            SCHEMA.starts_with(&format!("-- The catalog of a data folder, version {VERSION} "))
        );
    }

    /// Everything that is made, without comments and spaces.
    fn made(db: &Connection) -> Vec<String> {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
        let mut sql = db.prepare(sql).unwrap();
        let words = |text: String| {
            let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
            lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
        };
        sql.query_map([], |row| row.get(0).map(words)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn an_older_catalog_becomes_what_a_new_one_is_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        let rows = "SELECT group_concat(venue || stream || market || hour || rows || last)
            FROM (SELECT * FROM hours ORDER BY rows)";
        let told = |db: &Connection| -> (String, i64) {
            let conditions = "SELECT sum(hour * rows) FROM conditions";
            let one = |row: &rusqlite::Row<'_>| row.get(0);
            (
                db.query_row(rows, [], one).unwrap(),
                db.query_row(conditions, [], |row| row.get(0)).unwrap(),
            )
        };
        let before = {
            let db = Connection::open(&old).unwrap();
            db.execute_batch(FIRST).unwrap();
            db.execute_batch(
                "INSERT INTO hours VALUES ('v', 'trade', 'B', 2, 10, 3, 4),
                    ('v', 'trade', 'A', 2, 11, 5, 6), ('v', 'ticker', 'A', 1, 12, 7, 8);
                INSERT INTO conditions VALUES ('v', 'trade', 'A', 2, 'complete', 11, 1, '', 0, 0,
                    '{}', 9), ('v', 'trade', 'A', 1, 'missing', 5, 1, '', 0, 0, '{}', 9)",
            )
            .unwrap();
            db.pragma_update(None, "user_version", 1).unwrap();
            told(&db)
        };
        assert_eq!(
            Catalog::open_read(&old)
                .unwrap()
                .recorded(&super::super::Filter::default())
                .unwrap()
                .len(),
            3
        );
        drop(Catalog::open(&old).unwrap());
        drop(Catalog::open(&new).unwrap());
        let (old, new) = (Connection::open(&old).unwrap(), Connection::open(&new).unwrap());
        assert_eq!(made(&old), made(&new));
        assert_eq!((version(&old).unwrap(), version(&new).unwrap()), (VERSION, VERSION));
        assert_eq!(told(&old), before);
    }
}
