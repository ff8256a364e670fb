//! The status page: one document, which asks for its data itself.
//!
//! It holds no data, so it is served to whoever asks; everything it shows comes from addresses
//! that want the token where there is one. It uses nothing from elsewhere: its policy allows its
//! own style and script, by a word that is new each time, and questions to where it came from.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::routes::refusal;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: [&str; 3] =
    [include_str!("page/draw.js"), include_str!("page/market.js"), include_str!("page/page.js")];

/// The page; `asks` says whether it has to ask for a token first.
pub(super) fn page(asks: bool) -> Response {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let Ok(policy) = HeaderValue::from_str(&policy) else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made");
    };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, document(&nonce, asks)).into_response()
}

fn document(nonce: &str, asks: bool) -> String {
    PAGE.replace("{{NONCE}}", nonce)
        .replace("{{TOKEN}}", if asks { "asked" } else { "none" })
        .replace("{{STYLE}}", STYLE)
        .replace("{{SCRIPT}}", &SCRIPT.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_uses_nothing_from_elsewhere() {
        let text = document("0123", true);
        for word in ["{{", "http://", "https://", "src=", "@import", "url(", "innerHTML", "eval("] {
            let place = text.find(word).map(|at| text.get(at..at + 60));
            // The namespace of SVG is a name, not an address.
            let name = place.is_some_and(|at| at.is_some_and(|at| at.contains("w3.org/2000/svg")));
            assert!(place.is_none() || name, "{word}: {place:?}");
        }
        assert_eq!(text.matches("nonce=\"0123\"").count(), 2);
    }
}
