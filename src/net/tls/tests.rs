use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::net::budget::{Budget, Rates};
use crate::net::clock::{Clock, SystemClock};
use crate::net::connect::{ConnectError, Connector};
use crate::net::http::{Http, HttpError};
use crate::net::testing::Way;
use crate::net::wire::Internet;
use crate::venue::{Opening, Request};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// A server whose certificate the private CA signed; it answers everything with 404. Its port.
fn server() -> u16 {
    let chain = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for wire in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, wire.unwrap());
            std::thread::spawn(move || {
                let mut head = [0; 4_096];
                // A client that does not trust us hangs up in the handshake.
                if stream.read(&mut head).is_ok() {
                    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello";
                    stream.write_all(answer).unwrap();
                }
            });
        }
    });
    port
}

/// What a websocket and a request to the same server come to.
async fn both(
    way: Way,
    config: &Arc<ClientConfig>,
    host: &str,
    port: u16,
) -> (ConnectError, HttpError) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let opening = Opening {
        url: format!("wss://{host}:{port}/"),
        messages: Vec::new(),
        ping_every: Duration::from_secs(10),
    };
    let connector = Connector::new(Arc::new(Internet), Arc::clone(config), Arc::clone(&clock));
    let connector = way.of(connector);
    let rates =
        Rates { connects_per_second: 9, requests_per_second: 9, block: Duration::from_mins(1) };
    let budget = Arc::new(Budget::new(Arc::clone(&clock), rates));
    let http = Http::new(config, budget, clock).unwrap();
    let request = Request { url: format!("https://{host}:{port}/"), group: "market" };
    (connector.open(&opening).await.unwrap_err(), http.get(&request).await.unwrap_err())
}

#[tokio::test]
async fn one_configuration_serves_both_and_trusts_what_it_is_told_to() {
    let port = server();
    // 127.0.0.2 is this machine too, and not in the certificate.
    for (extra, host, words) in [
        (None, "localhost", "add its certificate as an extra CA file"),
        (Some("ca.pem"), "localhost", "answered 404"),
        (Some("ca.pem"), "127.0.0.1", "answered 404"),
        (Some("ca.pem"), "127.0.0.2", "check the host in the URL"),
    ] {
        let config = client_config(extra.map(fixture).as_deref()).unwrap();
        for way in Way::ALL {
            let (ws, rest) = both(way, &config, host, port).await;
            assert!(ws.to_string().contains(words), "{way:?} {extra:?} {host}: {ws}");
            assert!(rest.to_string().contains(words), "{extra:?} {host}: {rest}");
        }
    }
}

#[test]
fn a_file_that_is_no_certificate_is_named() {
    for (file, words) in [
        ("no-such-file.pem", "cannot read certificates from"),
        ("README.md", "holds no certificate"),
        ("server.key", "holds no certificate"),
    ] {
        let error = client_config(Some(&fixture(file))).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(file), "{error}");
    }
}
