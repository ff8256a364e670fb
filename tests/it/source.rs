//! The files of the package, as the rules look at them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::root;

/// A text file of the package.
pub(crate) struct Source {
    /// From the folder of the package on.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One line of code.
pub(crate) struct Line<'a> {
    /// From 1 on.
    pub(crate) number: usize,
    /// The line without its comment.
    pub(crate) code: &'a str,
    /// Whether only tests are made of it.
    pub(crate) in_tests: bool,
}

impl Source {
    /// The layer of a file under `src/`: its first folder, or its name for a layer of one file.
    pub(crate) fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?;
        Some(name.trim_end_matches(".rs"))
            .filter(|name| !["main", "lib", "README.md"].contains(name))
    }

    /// How many modules the file lies deep: 1 for `src/model/mod.rs`.
    pub(crate) fn depth(&self) -> usize {
        let folders = self.path.matches('/').count();
        if self.path.ends_with("/mod.rs") { folders - 1 } else { folders }
    }

    /// Whether all of it is the tests of another file.
    pub(crate) fn is_tests(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// Its lines without comments. Tests stand at the end of a file, or in a file of their own.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut in_tests = self.is_tests();
        let mut marked = false;
        self.text.lines().enumerate().map(move |(index, line)| {
            // `#[cfg(test)] mod tests {` and not `mod tests;`, after which code may follow.
            in_tests |= marked && line.starts_with("mod ") && line.ends_with('{');
            marked = line == "#[cfg(test)]";
            Line { number: index + 1, code: without_comment(line), in_tests }
        })
    }
}

/// A line up to its comment; the slashes in the text of an address are none.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").map(|(at, _)| at);
    let mut comment = comment.filter(|at| !line[..*at].ends_with(':'));
    comment.next().map_or(line, |at| &line[..at])
}

/// Every text file that git knows of, and those that are new and not ignored.
pub(crate) fn sources() -> Vec<Source> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git says which files belong to the package; it must be installed");
    assert!(
        output.status.success(),
        "git ls-files says which files belong to the package, but it failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let paths = String::from_utf8(output.stdout).expect("paths are text");
    let read = |path: &str| {
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(Source { path: path.to_owned(), text })
    };
    // A file that is gone but still known to git, or that is not text, is left out.
    paths.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect()
}

/// The Rust files under `src/`.
pub(crate) fn program() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| source.path.starts_with("src/") && has_ending(&source.path, "rs"));
    assert!(sources.len() > 10, "there is more under src/ than {} files", sources.len());
    sources
}

/// Whether `path` ends in `.ending`.
pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

/// The names of the folders directly in a folder of the package.
pub(crate) fn folders(of: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(of)).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Fails with every finding, and with the rule that they break.
pub(crate) fn check(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}

#[test]
fn comments_and_tests_are_told_from_code() {
    let text = "//! Doc.\nlet a = \"ws://x\"; // why\n#[cfg(test)]\nmod a;\nb\n#[cfg(test)]\nmod tests {\n";
    let source = Source { path: "src/net/x.rs".into(), text: text.into() };
    let told: Vec<_> = source.lines().map(|line| (line.code, line.in_tests)).collect();
    assert_eq!(told[..2], [("", false), ("let a = \"ws://x\"; ", false)]);
    assert_eq!(told[4], ("b", false));
    assert_eq!(told[6], ("mod tests {", true));
    assert_eq!((source.layer(), source.depth()), (Some("net"), 2));
}
