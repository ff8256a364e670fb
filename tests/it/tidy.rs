//! Rules that the code keeps. Each says what is wrong, where, and what to do.

use std::fs;

use veritape::venue::{VENUES, by_name};

use crate::harness::root;
use crate::source::{Source, check, folders, has_ending, program, sources};

/// The layers, lowest first. A file uses its own and lower ones only.
const LAYERS: [&str; 10] =
    ["model", "venue", "store", "net", "ingest", "backfill", "maintain", "serve", "sim", "cli"];

/// Lines that a file of `src/` may have.
const LINES: usize = 400;

/// Files that may be longer: path, lines, and why it is better so than in two files.
const LONG_FILES: [(&str, usize, &str); 0] = [];

/// Layers whose code may name a venue: `sim` speaks the protocol of one.
const MAY_NAME_VENUES: [&str; 2] = ["venue", "sim"];

#[test]
fn a_layer_uses_itself_and_lower_ones() {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut findings = Vec::new();
    for source in program() {
        let Some(layer) = source.layer() else { continue };
        let Some(own) = rank(layer) else {
            findings
                .push(format!("{}: {layer} is no layer; LAYERS in tests/it/tidy.rs", source.path));
            continue;
        };
        for line in source.lines() {
            let place = format!("{}:{}", source.path, line.number);
            for used in line.code.split("crate::").skip(1) {
                let name: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                match rank(&name) {
                    Some(used) if used <= own => {}
                    Some(_) => findings.push(format!("{place} is in {layer} and uses {name}")),
                    None => {
                        findings
                            .push(format!("{place}: a layer must follow crate::, not {used:?}"));
                    }
                }
            }
            // Tests at the end of a file are one module deeper than its code.
            let way_out = source.depth() + usize::from(line.in_tests && !source.is_tests());
            if line.code.contains(&"super::".repeat(way_out)) {
                findings.push(format!("{place} leaves its layer by super::; write crate::"));
            }
        }
    }
    check(
        &format!("A file uses its own layer and lower ones only ({}).", LAYERS.join(" < ")),
        &findings,
    );
}

#[test]
fn files_are_short() {
    let allowed = |path: &str| LONG_FILES.iter().find(|(long, ..)| *long == path);
    let mut findings = Vec::new();
    for source in program() {
        let lines = source.text.lines().count();
        let limit = allowed(&source.path).map_or(LINES, |(_, limit, _)| *limit);
        if lines > limit {
            findings.push(format!("{} has {lines} lines; {limit} are allowed", source.path));
        } else if lines <= LINES && allowed(&source.path).is_some() {
            findings.push(format!("{} is no longer long: take it off LONG_FILES", source.path));
        }
    }
    check("A file has one subject; a long one has two, so split it.", &findings);
}

#[test]
fn every_file_says_what_it_is() {
    let mut silent = program();
    silent.retain(|source| !source.is_tests() && !source.text.starts_with("//! "));
    let findings: Vec<_> = silent.into_iter().map(|source| source.path).collect();
    check(
        "A file begins with its module documentation (//!): invariants and formats first.",
        &findings,
    );

    let lacking = folders("src")
        .into_iter()
        .filter(|name| !root().join("src").join(name).join("mod.rs").is_file());
    check("A folder of src/ is a module: its mod.rs is missing.", &lacking.collect::<Vec<_>>());
}

#[test]
fn every_venue_folder_is_registered() {
    let names: Vec<_> = VENUES.iter().map(|venue| venue.name()).collect();
    let mut findings = Vec::new();
    for folder in folders("src/venue") {
        if !names.iter().any(|name| name.starts_with(&folder)) {
            findings.push(format!("src/venue/{folder} has no line in VENUES (src/venue/mod.rs)"));
        }
        if !root().join("src/venue").join(&folder).join("README.md").is_file() {
            findings.push(format!(
                "src/venue/{folder} has no README.md with the facts and their sources"
            ));
        }
    }
    for name in ["upbit", "upbit-sg", "upbit-id", "upbit-th"] {
        if by_name(name).is_none_or(|venue| venue.name() != name) {
            findings.push(format!("by_name({name:?}) finds no venue of that name"));
        }
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            findings.push(format!("two venues are called {name:?}"));
        }
    }
    check("A venue is one folder and its line in VENUES.", &findings);
}

#[test]
fn only_the_venue_layer_names_a_venue() {
    let venues = folders("src/venue");
    let mut findings = Vec::new();
    for source in program() {
        if source.layer().is_some_and(|layer| MAY_NAME_VENUES.contains(&layer)) {
            continue;
        }
        // Comments may: the documentation of a column says what a venue calls it.
        for line in source.lines().filter(|line| !line.in_tests) {
            let code = line.code.to_lowercase();
            for venue in venues.iter().filter(|venue| code.contains(venue.as_str())) {
                findings.push(format!("{}:{} names {venue}", source.path, line.number));
            }
        }
    }
    check(
        "What is known of a venue stays in src/venue: ask the trait Venue instead of naming one.",
        &findings,
    );
}

#[test]
fn nothing_is_left_undone() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("unimpl", "emented"),
        concat!("to", "do!"),
        concat!("#[", "ignore"),
    ];
    let endings = ["rs", "py", "sql", "md", "sh"];
    let looked_at = |path: &str| {
        endings.iter().any(|ending| has_ending(path, ending))
            || path.starts_with("scripts/") && !path.contains('.')
    };
    let findings = search(&marks, looked_at);
    check("A part that is left for later is not there yet: finish it, or leave it out.", &findings);
}

#[test]
fn nothing_points_to_one_machine() {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("python", "hosted"),
    ];
    // The lock file names the registry that cargo itself names.
    let findings = search(&places, |path| path != "Cargo.lock");
    check(
        "No paths of one machine, and packages by their name: registries are configured outside.",
        &findings,
    );
}

/// Where one of `words` stands in the files that `looked_at` picks.
fn search(words: &[&str], looked_at: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for Source { path, text } in sources().into_iter().filter(|source| looked_at(&source.path)) {
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| stands_alone(line, word)) {
                findings.push(format!("{path}:{} has {word:?}", index + 1));
            }
        }
    }
    findings
}

/// Whether `word` is in `line`, and not as a part of a longer word or path.
fn stands_alone(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().filter(|_| !word.starts_with('#'));
        let after = line[at + word.len()..].chars().next().filter(|_| word.ends_with(letter));
        !before.is_some_and(letter) && !after.is_some_and(letter)
    })
}

#[test]
fn scripts_can_be_run() {
    let names = fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    let scripts = names.chain([root().join(".ci/run")]);
    let mut findings = Vec::new();
    for path in scripts.filter(|path| fs::read(path).is_ok_and(|text| text.starts_with(b"#!"))) {
        if rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_err() {
            findings.push(path.display().to_string());
        }
    }
    check("A file that begins with #! can be executed (chmod +x).", &findings);
}
