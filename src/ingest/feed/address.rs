//! Whether a host has moved away from the address that a connection goes to.
//!
//! The name of a venue leads to several addresses that take turns: answers differ from query to
//! query without meaning anything. So a host has moved only when the connection's address was
//! missing from [`MISSING`] answers in a row. A lookup that fails, that takes too long or that
//! names no address is no answer, and counts neither way.
//!
//! [`Absence`] is the rule, and pure; [`watch`] asks.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use super::Context;
use crate::net::connect::host_of;

/// How often it is asked. Resolvers keep an answer for about a minute, so that asking more often
/// would count the same answer twice.
const ASK_EVERY: Duration = Duration::from_mins(1);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// In how many answers in a row the address must be missing. Where each names half of the
/// addresses by chance, one of 32 rows of five misses ours; and a venue that moves keeps the old
/// place open for longer than five minutes.
const MISSING: u32 = 5;

/// How long an address has been missing from the answers.
#[derive(Debug)]
struct Absence {
    peer: IpAddr,
    answers: u32,
}

impl Absence {
    const fn of(peer: IpAddr) -> Self {
        Self { peer, answers: 0 }
    }

    /// Whether the host has moved, after one more answer.
    fn answered(&mut self, addresses: &[IpAddr]) -> bool {
        if addresses.contains(&self.peer) {
            self.answers = 0;
        } else if !addresses.is_empty() {
            self.answers = self.answers.saturating_add(1);
        }
        self.answers >= MISSING
    }
}

/// Asks again and again, for as long as a connection to `peer` lasts; calls `moved` at each answer
/// after which the host has moved. Asks nothing where there is no name to ask for.
pub(super) async fn watch(context: &Context, peer: Option<IpAddr>, moved: impl Fn()) -> Infallible {
    let (Some(host), Some(peer)) = (name_in(&context.url), peer) else {
        return std::future::pending().await;
    };
    let mut absence = Absence::of(peer);
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let asked = context.connector.resolve(&host);
        match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(addresses)) => {
                if absence.answered(&addresses) {
                    moved();
                }
            }
            Ok(Err(error)) => tracing::debug!(%host, %error, "no answer for a host's name"),
            Err(_) => tracing::debug!(%host, "no answer for a host's name in time"),
        }
    }
}

/// The host of `url`, where it is a name.
fn name_in(url: &str) -> Option<String> {
    host_of(url).ok().filter(|host| host.parse::<IpAddr>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name() {
        for (url, name) in [
            ("wss://venue.example/ws", Some("venue.example")),
            ("ws://localhost:8080/", Some("localhost")),
            ("ws://192.0.2.1:8080/", None),
            ("wss://[2001:db8::1]/ws", None),
        ] {
            assert_eq!(name_in(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn only_a_row_of_answers_without_the_address_means_a_move() {
        // Each digit is an answer with that address, `+` joins two in one answer, and `-` is one
        // that names none; after which answers the host of address 1 has moved.
        for (answers, moved) in [
            ("1 1 1 1 1 1 1", ""),
            ("2 3 4 5", ""),
            ("2 3 4 5 6 2 3", "4 5 6"),
            ("2 2 2 2 2 1 2 2", "4"),
            ("2 3 4 5 1 2 3 4 5", ""),
            ("2+3 3+4 4+5 5+6 6+1 2+3", ""),
            ("2 3 - 4 - - 5 6", "7"),
            ("- - - - - - -", ""),
        ] {
            let address = |digit: &str| format!("192.0.2.{digit}").parse::<IpAddr>().unwrap();
            let mut absence = Absence::of(address("1"));
            let mut seen = Vec::new();
            for (index, answer) in answers.split(' ').enumerate() {
                let named: Vec<_> =
                    answer.split('+').filter(|one| *one != "-").map(address).collect();
                if absence.answered(&named) {
                    seen.push(index.to_string());
                }
            }
            assert_eq!(seen.join(" "), moved, "{answers}");
        }
    }
}
