//! What a server takes of our offer to compress.
//!
//! Whatever else it says ends the handshake: both sides would read the same bytes differently.

use tokio_tungstenite::tungstenite::http::{HeaderMap, header};

/// Window sizes that the extension knows, in bits.
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// The agreement in the headers of an answer, as the library reads it; none where there is none.
///
/// The size of the server's window is left out: a larger one of ours unpacks the same.
pub(super) fn read(headers: &HeaderMap) -> Result<Option<String>, String> {
    let mut lines = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().unwrap_or_default();
    let refused = || format!("it wants an extension that was not offered: {line:?}");
    if lines.next().is_some() {
        return Err("it wants more than one extension".into());
    }
    let mut parts = text.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return Err(refused());
    }
    let mut seen = Vec::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        };
        let bits = || value.and_then(|value| value.parse().ok());
        let known = match name {
            "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
            "server_max_window_bits" | "client_max_window_bits" => {
                bits().is_some_and(|bits| WINDOW_BITS.contains(&bits))
            }
            _ => false,
        };
        if !known || seen.contains(&name) {
            return Err(refused());
        }
        seen.push(name);
    }
    let forgets = seen.contains(&"server_no_context_takeover");
    let terms = if forgets { "; server_no_context_takeover" } else { "" };
    Ok(Some(format!("permessage-deflate{terms}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&'static str], expected: Result<Option<&str>, &str>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, line.parse().unwrap());
        }
        match (read(&headers), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read.as_deref(), expected, "{lines:?}"),
            (Err(error), Err(words)) => assert!(error.contains(words), "{lines:?}: {error}"),
            (read, _) => panic!("{lines:?} is read as {read:?}"),
        }
    }

    #[test]
    fn only_what_was_offered_is_agreed_to() {
        let plain = Ok(Some("permessage-deflate"));
        check(&[], Ok(None));
        check(&["permessage-deflate"], plain);
        check(&["permessage-deflate; server_max_window_bits=15"], plain);
        check(&["permessage-deflate;client_max_window_bits = \"10\""], plain);
        check(&["permessage-deflate; client_no_context_takeover"], plain);
        let forgets = "permessage-deflate; server_no_context_takeover";
        check(&[forgets], Ok(Some(forgets)));
        check(
            &["permessage-deflate;server_no_context_takeover;server_max_window_bits=9"],
            Ok(Some(forgets)),
        );
        let refused = Err("an extension that was not offered");
        for line in [
            "",
            "x-webkit-deflate-frame",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; level=9",
        ] {
            check(&[line], refused);
        }
        check(&["permessage-deflate", "permessage-deflate"], Err("more than one"));
    }
}
