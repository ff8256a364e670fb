use std::sync::Mutex;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::net::budget::Rates;
use crate::net::clock::SystemClock;
use crate::net::testing::read_head;

fn http() -> (Http, Arc<Budget>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let rates =
        Rates { connects_per_second: 9, requests_per_second: 99, block: Duration::from_mins(1) };
    let budget = Arc::new(Budget::new(Arc::clone(&clock), rates));
    let tls = tls::client_config(None).unwrap();
    (Http::new(&tls, Arc::clone(&budget), clock).unwrap(), budget)
}

/// A server that answers one request with `answer` and hangs up; its URL, and what it was asked.
async fn answering(answer: Vec<u8>) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/market/all?x=1", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(String::new()));
    let head = Arc::clone(&asked);
    tokio::spawn(async move {
        let (mut wire, _) = listener.accept().await.unwrap();
        *head.lock().unwrap() = read_head(&mut wire).await;
        wire.write_all(&answer).await.unwrap();
    });
    (url, asked)
}

async fn get(http: &Http, url: &str) -> Result<Page, HttpError> {
    http.get(&Request { url: url.to_owned(), group: "market" }).await
}

#[tokio::test]
async fn a_page_is_whole_unpacked_and_stamped() {
    // "hello" by gzip.
    let packed: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\
         Remaining-Req: group=market; min=600; sec=9\r\n\r\n",
        packed.len()
    );
    let (url, asked) = answering([head.as_bytes(), packed].concat()).await;
    let (http, _) = http();
    let before = http.clock.now();
    let page = get(&http, &url).await.unwrap();
    assert_eq!((page.status, page.body.as_ref(), page.remaining), (200, &b"hello"[..], Some(9)));
    assert!(page.ts_recv >= before);
    let asked = asked.lock().unwrap().to_lowercase();
    assert!(asked.starts_with("get /v1/market/all?x=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nuser-agent: veritape/"), "{asked}");
    assert!(asked.contains("gzip"), "{asked}");
    assert!(!asked.contains("origin"), "{asked}");
}

#[tokio::test]
async fn every_failure_says_what_and_what_to_do() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let answer = |text: &'static str| async { answering(text.as_bytes().to_vec()).await.0 };
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY_LIMIT + 1);
    let long = [long.as_bytes(), &vec![0; BODY_LIMIT + 1]].concat();
    for (url, words) in [
        ("nonsense".to_owned(), "is no URL"),
        ("ftp://host/".to_owned(), "the scheme must be http or https"),
        ("http://no-such-host.invalid/".to_owned(), "check the name and the network"),
        (closed.clone(), "is it running"),
        (answer("SSH-2.0-OpenSSH_9.2\r\n\r\n").await, "broke off"),
        (answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await, "broke off"),
        (answer("").await, "broke off"),
        (answering(long).await.0, "longer than 16777216 bytes"),
        (
            answer(
                "HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{\"error\":{\"name\":404}}",
            )
            .await,
            "answered 404: \"{\\\"error\\\":{\\\"name\\\":404}}\"",
        ),
        (
            answer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nÿ\n").await,
            "answered 502: \"ÿ\"",
        ),
        (answer("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n1").await, "answered 500: \"\""),
        (
            answer(
                "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
            )
            .await,
            "is it running",
        ),
        (closed.replace("http:", "https:"), "is it running"),
    ] {
        let error = get(&http().0, &url).await.unwrap_err();
        assert!(error.to_string().contains(words), "{url}: {error}");
    }
}

#[tokio::test]
async fn what_the_host_says_of_its_rates_reaches_the_budget() {
    let market = Use::Request("market");
    for (head, at_least, at_most, everything) in [
        ("200 OK\r\nRemaining-Req: group=market; min=1; sec=5", 0, 0, false),
        ("200 OK\r\nRemaining-Req: group=market; min=1; sec=0", 0, 1_000, false),
        ("200 OK\r\nRemaining-Req: nonsense", 0, 0, false),
        ("429 Too Many Requests", 400, 1_500, false),
        ("429 Too Many Requests\r\nRetry-After: 30", 29_000, 30_000, false),
        ("418 I'm a teapot", 59_000, 60_000, true),
        ("418 I'm a teapot\r\nRetry-After: 12.5", 11_500, 12_500, true),
    ] {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        let (url, _) = answering(answer.into_bytes()).await;
        let (http, budget) = http();
        let got = get(&http, &url).await;
        assert_eq!(got.is_ok(), head.starts_with("200"), "{head}: {got:?}");
        let held = budget.held("127.0.0.1", market).as_millis();
        assert!((at_least..=at_most).contains(&held), "{head}: {held}");
        let connects = budget.held("127.0.0.1", Use::Connect).as_millis();
        assert_eq!(connects > 0, everything, "{head}: {connects}");
    }
}

#[test]
fn a_length_of_time_is_found_in_words() {
    for (text, seconds) in [
        ("Too many API requests. Blocked for 30 seconds.", Some(30)),
        (r#"{"error":{"name":418,"message":"Blocked for 5 minutes."}}"#, Some(300)),
        ("10초 동안 차단되었습니다", Some(10)),
        ("2m", Some(120)),
        (r#"{"error":{"name":418,"message":"blocked"}}"#, None),
        ("99999999999999999999999 s", None),
        ("", None),
    ] {
        assert_eq!(length_in(text).map(|length| length.as_secs()), seconds, "{text}");
    }
}
