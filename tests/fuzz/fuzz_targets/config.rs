//! The configuration's reader.
//!
//! Whatever the text: what is refused is refused with words, and settings that are taken say the
//! same when they are written down and read again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use veritape::cli::check_config;

/// The texts to begin with, besides single settings of the first.
const TEXTS: [&str; 3] = [
    include_str!("../../../src/cli/config.toml"),
    "markets = ['KRW-BTC', 'BTC-*']\nstreams = ['trade', 'candle.1s']\nlines = 2\nrotate = '1h 30m'",
    "ws_url = 'wss://[::1]:443/ws'\nrest_url = 'https://localhost'\n[raw]\nkeep = '30d'",
];

fuzz_target!(|text: &str| {
    let path = Path::new("v.toml");
    match check_config(path, text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(config) => {
            let written = toml::to_string(&config).unwrap();
            let again = check_config(path, &written);
            assert_eq!(again.as_ref().ok(), Some(&config), "{again:?}: {written}");
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(64) {
        return fuzzer_mutate(data, size, max_size);
    }
    let number = (seed / 64) as usize;
    let settings = || TEXTS[0].lines().map(|line| line.trim_start_matches("# "));
    let setting = settings().filter(|line| line.contains(" = ")).cycle().nth(number / 4 % 50);
    let text = TEXTS.get(number % 4).copied().or(setting).unwrap_or_default();
    let size = text.len().min(max_size);
    data[..size].copy_from_slice(&text.as_bytes()[..size]);
    size
});
