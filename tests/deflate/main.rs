//! Compressed websockets through the real program: another implementation of the extension stands
//! between the recorder and the simulated venue, and what is recorded is the venue's ledger.

#[cfg(test)]
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "it is made for the other tests")]
mod harness;

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::time::Duration;

    use rustix::process::Signal;
    use serde_json::Value;
    use tempfile::tempdir;
    use veritape::net::clock::{Clock as _, SystemClock};

    use crate::harness::{Process, Python, SOON, veritape};

    /// How long is recorded, in seconds.
    const LENGTH: u64 = 8;

    fn json(line: &str) -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Records through a proxy that agrees on `mode`; the log must say `words`.
    fn check(mode: &str, packed: bool, words: &str) {
        let Some(python) = Python::find() else { return };
        let folder = tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut sim = veritape();
        sim.args([
            "sim",
            "--listen",
            "127.0.0.1:0",
            "--markets",
            "20",
            "--rate",
            "500",
            "--ledger",
        ]);
        let sim = Process::start({
            sim.arg(path("ledger"));
            sim
        });
        let venue = json(&sim.first_line(SOON));
        let began = SystemClock::new().now();
        let proxy = python.start("tests/deflate/proxy.py", &[venue["ws"].as_str().unwrap(), mode]);
        let address = json(&proxy.first_line(SOON));
        let mut record = veritape();
        record.args(["record", "--venue", "upbit", "--http", "off", "--markets", "all"]);
        record.args(["--streams", "trade,orderbook,ticker,candle.1s", "--deflate"]);
        record.args(["--ws-url", address["ws"].as_str().unwrap()]);
        record.args(["--rest-url", venue["rest"].as_str().unwrap()]);
        record.args(["--for", &format!("{LENGTH}s"), "--data"]).arg(path("data"));
        let recorder = Process::start(record).wait(Duration::from_secs(LENGTH) + SOON);
        let log = recorder.stderr.clone();
        recorder.success();
        assert!(log.contains(words), "{mode}: {log}");
        proxy.signal(Signal::TERM);
        let told = proxy.wait(SOON).success();
        let passed = json(told.lines().last().unwrap());
        println!("{mode}: {passed}");
        assert_eq!(passed["connections"], 1, "{mode}: {log}");
        assert_eq!(passed["packed"], u64::from(packed), "{mode}");
        assert!(passed["messages"].as_u64() > Some(100 * LENGTH), "{mode}: {passed}");
        sim.signal(Signal::TERM);
        sim.wait(SOON).success();
        let mut gaps = veritape();
        gaps.args(["gaps", "--json", "--data"]).arg(path("data"));
        let gaps = Process::start(gaps).wait(SOON).success();
        assert_eq!(json(&gaps), serde_json::json!({ "gaps": [] }), "{mode}");
        fs::write(path("gaps.json"), gaps).unwrap();
        let mut arguments: Vec<OsString> =
            ["ledger", "data", "gaps.json"].map(|name| path(name).into_os_string()).into();
        arguments.extend(["--began".into(), began.micros().to_string().into()]);
        println!("{}", python.run("tests/it/ledger.py", &arguments).trim());
    }

    #[test]
    fn what_is_packed_with_the_rest_in_mind_is_recorded() {
        check("takeover", true, "compresses its messages (permessage-deflate)");
    }

    #[test]
    fn what_is_packed_alone_is_recorded() {
        check("alone", true, "(permessage-deflate; server_no_context_takeover)");
    }

    #[test]
    fn a_venue_that_does_not_pack_is_recorded() {
        check("refused", false, "does not compress its messages");
    }
}
