//! The documents say what is so: commands, paths, layers, tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::{Process, SOON, root, veritape};
use crate::source::{Source, check, folders, has_ending, sources};

/// Lines that `src/README.md` may have: an architecture that fits one sitting.
const ARCHITECTURE_LINES: usize = 150;

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first cell of each row of the table under `heading`, without its back quotes.
fn table(document: &str, heading: &str) -> Vec<String> {
    let section = document.split(&format!("\n{heading}\n")).nth(1).unwrap_or_default();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

fn help(arguments: &[&str]) -> String {
    let mut command = veritape();
    command.args(arguments).arg("--help");
    Process::start(command).wait(SOON).success()
}

#[test]
fn the_readme_lists_the_commands() {
    let told = table(&document("README.md"), "## Commands");
    let help_text = help(&[]);
    let section = help_text.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.is_empty());
    // A name is indented by two; what is indented deeper goes on with the description.
    let names =
        lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let real: Vec<_> = names.filter(|name| *name != "help").collect();
    assert!(!real.is_empty(), "veritape --help lists no commands:\n{help_text}");
    assert_eq!(told, real, "left: the table under Commands in README.md; right: veritape --help");

    for command in real {
        let text = help(&[command]);
        assert!(text.contains("Usage:"), "veritape {command} --help says {text:?}");
    }
}

#[test]
fn paths_in_documents_lead_somewhere() {
    let mut findings = Vec::new();
    let documents = sources().into_iter().filter(|source| has_ending(&source.path, "md"));
    for Source { path, text } in documents {
        let here = root().join(&path);
        let here = here.parent().expect("a file has a folder");
        for (index, line) in text.lines().enumerate() {
            for target in links(line) {
                if !here.join(target).exists() {
                    findings.push(format!("{path}:{} links to {target}", index + 1));
                }
            }
            for named in paths(line) {
                if !root().join(named).exists() {
                    findings.push(format!("{path}:{} names {named}", index + 1));
                }
            }
        }
    }
    check("A path in a document is the path of a file that is there.", &findings);
}

/// The targets of links to files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next())
}

/// Paths from the folder of the package on, in back quotes; a pattern is none.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let words = quoted.filter_map(|text| text.split_whitespace().next());
    words.filter(|word| {
        let folder = word.split('/').next().unwrap_or_default();
        ["src", "tests", "scripts", "schemas", "benches", ".ci", ".github"].contains(&folder)
            && word.contains('/')
            && !word.contains(['*', '<', '{', '…'])
    })
}

#[test]
fn the_architecture_names_every_layer() {
    let text = document("src/README.md");
    let lines = text.lines().count();
    assert!(lines <= ARCHITECTURE_LINES, "src/README.md has {lines} lines");
    let told: BTreeSet<_> = table(&text, "## Layers").into_iter().collect();
    let real: BTreeSet<_> = folders("src").into_iter().collect();
    assert_eq!(told, real, "left: the table under Layers in src/README.md; right: folders of src/");
}

#[test]
fn every_test_file_is_described() {
    let text = document("tests/README.md");
    let files = fs::read_dir(root().join("tests/it")).unwrap().map(|entry| entry.unwrap().path());
    let names = files.filter_map(|path| Some(Path::file_name(&path)?.to_str()?.to_owned()));
    let findings: Vec<_> = names
        .filter(|name| !name.starts_with(['.', '_']) && !text.contains(&format!("`{name}`")))
        .collect();
    check("tests/README.md says of each file in tests/it what it shows.", &findings);
}
