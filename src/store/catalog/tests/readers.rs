//! Who else reads the catalog.

use super::*;

#[test]
fn others_read_while_one_writes() {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    let mut reader = Catalog::open_read(&path).unwrap();
    assert_eq!(reader.segments(&Filter::default()).unwrap(), []);
    catalog.publish(&everything()).unwrap();
    assert_eq!(told(&reader), told(&catalog));
    assert!(reader.publish(&everything()).unwrap_err().is_disk(), "a reader writes nothing");
    let mode: String =
        catalog.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let synchronous: i64 =
        catalog.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

const CHILD: &str = "VERITAPE_TEST_READ_CATALOG";

/// Not a test of its own: what the child process of the next one runs.
#[test]
fn reads_for_the_parent() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    print!("{}", told(&Catalog::open_read(Path::new(&path)).unwrap()));
}

#[test]
fn a_user_who_may_only_read_can_read() {
    let (folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    catalog.publish(&everything()).unwrap();
    let expected = told(&catalog);
    let closed = |mode| {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    closed(0o555);
    // With a recorder, whose files for sharing are there, and without one.
    for catalog in [Some(catalog), None] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child
            .args([
                "--exact",
                "store::catalog::tests::readers::reads_for_the_parent",
                "--nocapture",
            ])
            .env(CHILD, &path);
        if rustix::process::getuid().is_root() {
            child.uid(NOBODY).gid(NOBODY);
        }
        match child.output() {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                println!("skipped: another user may not run this binary");
            }
            output => {
                let output = output.unwrap();
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(
                    text.contains(&expected),
                    "{text}{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        closed(0o755);
        drop(catalog);
        closed(0o555);
    }
    closed(0o755);
}
