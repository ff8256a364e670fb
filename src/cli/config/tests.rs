use super::*;

fn check(text: &str, expected: &str) {
    let error = Config::parse(Path::new("v.toml"), text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}\n  says: {error}\n  not: {expected}");
}

#[test]
fn what_is_wrong_is_named() {
    check("market = ['KRW-BTC']", "unknown key \"market\" in line 1; did you mean \"markets\"?");
    check("rotat = '60s'", "did you mean \"rotate\"?");
    check("lines = 1\n\n# a\nrotat = '60s'", "unknown key \"rotat\" in line 4; did you");
    check("lines = 1\nlines = 'x", "v.toml is not right, in line 2");
    check("lines = 1\nmetrics_markets = ['KRW-[']", "line 2: metrics_markets cannot be");
    check("[raw]\nkeep = 'none'\n[retain]\ntrade = 'x'", "line 4");
    check("warn_days = -1", "in line 1");
    check("log_level = 'loud'", "unknown variant `loud`");
    check("log_file_bytes = '1 KiB'", "at least 64 KiB");
    check("zzzzzz = 1", "unknown key \"zzzzzz\"");
    check("rotate = '60 parsecs'", "not a length of time");
    check("rotate = '0s'", "v.toml line 1: rotate = 0s cannot be: it must be at least 1s");
    check("lines = 0", "lines = 0 cannot be");
    check("read_interval = '1s'", "read_interval = 1s cannot be: it must be at most 100ms");
    check("queue_bytes = '1 KiB'", "from 1 MiB to 2 GiB");
    check("markets = 'KRW-BTC'", "invalid type");
    check("markets = [", "v.toml");
    check("[raw]\nkeep = 'a while'", "days such as \"30d\"");
    check("[retain]\ntrades = '3d'", "did you mean \"trade\"?");
    check("[retain]\ntrade = 'a while'", "is no limit");
    check("[notify]\nurl = 'ftp://h/x'", "the scheme must be http or https");
    check("[notify]\nevents = ['gap_open']", "did you mean \"gap_opened\"?");
    check("[notify]\nintervall = '1s'", "unknown key \"notify.intervall\" in line 2");
    check("[raw]\nkep = '3d'", "unknown key \"raw.kep\" in line 2; did you mean \"keep\"?");
}

#[test]
fn what_may_be_secret_is_not_said() {
    for text in ["http_token = 'hunter2", "http_token = 715517", "http_token = hunter2"] {
        let error = Config::parse(Path::new("v.toml"), text).expect_err(text).to_string();
        assert!(error.contains("line 1") && error.contains("secret"), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("715517"), "{error}");
    }
}

#[test]
fn settings_survive_a_round_trip() {
    for text in [
        "",
        "[retain]\ntrade = '30d, 5GB'\n'candle.1s' = '1h'\ntotal = '7 B'",
        "[notify]\nurl = 'https://h/x'\nsecret = 's'\nevents = ['disk_low']",
        "queue_bytes = '1048577 B'\nbuffer_bytes = 9007199254740993",
    ] {
        let config = Config::parse(Path::new("v.toml"), text).expect(text);
        let written = toml::to_string(&config).expect("TOML");
        assert_eq!(Config::parse(Path::new("v.toml"), &written).expect("reads"), config);
    }
}
