use super::*;
use crate::ingest::testing::{TOY, subscriptions};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn markets(text: &str) -> Vec<Market> {
    text.split_whitespace().map(Market::new).collect()
}

const LISTED: &str = "KRW-BTC KRW-ETH BTC-ETH USDT-BTC";

/// What `asked` for comes to: the subscriptions with their depths, or the error.
fn plan(asked: &str, streams: &str, listed: Listed<'_>) -> String {
    let resolved = Selection::parse(&TOY, Way::Live, &words(asked), &words(streams))
        .and_then(|selection| selection.resolve(&TOY, listed));
    match resolved {
        Ok(subscriptions) => subscriptions
            .iter()
            .map(|one| {
                let depth = one.depth.map(|depth| format!(".{depth}")).unwrap_or_default();
                format!("{} {}{depth}", one.stream, one.market)
            })
            .collect::<Vec<_>>()
            .join(", "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_asked_for_is_found_or_named() {
    let listed = markets(LISTED);
    for (asked, streams, expected) in [
        ("KRW-BTC", "trade", "trade KRW-BTC"),
        ("krw-btc KRW-BTC", "TRADE trade", "trade KRW-BTC"),
        (
            "KRW-ETH KRW-BTC",
            "ticker trade",
            "trade KRW-BTC, trade KRW-ETH, ticker KRW-BTC, ticker KRW-ETH",
        ),
        ("krw-*", "trade", "trade KRW-BTC, trade KRW-ETH"),
        ("*-ETH KRW-BTC", "trade", "trade BTC-ETH, trade KRW-BTC, trade KRW-ETH"),
        ("{KRW,USDT}-BTC", "trade", "trade KRW-BTC, trade USDT-BTC"),
        ("All", "trade", "trade BTC-ETH, trade KRW-BTC, trade KRW-ETH, trade USDT-BTC"),
        ("KRW-BTC.5", "orderbook", "orderbook KRW-BTC.5"),
        ("KRW-*.15", "orderbook", "orderbook KRW-BTC.15, orderbook KRW-ETH.15"),
        (
            "KRW-BTC.5 KRW-ETH",
            "orderbook trade",
            "trade KRW-BTC, trade KRW-ETH, orderbook KRW-BTC.5, orderbook KRW-ETH",
        ),
        ("KRW-BTC.5 krw-btc.5", "orderbook", "orderbook KRW-BTC.5"),
        (
            "KRW-BTC.5 KRW-*",
            "orderbook",
            "KRW-BTC of stream orderbook is asked for with two depths, 5 and the venue's own; one connection cannot tell them apart",
        ),
        ("KRW-BTG", "trade", "toy lists no market \"KRW-BTG\"; did you mean \"KRW-BTC\"?"),
        ("KRW-BTC usd-btc", "trade", "toy lists no market \"usd-btc\"; did you mean \"USDT-BTC\"?"),
        ("EUR-*", "trade", "\"EUR-*\" matches none of the 4 markets that toy lists"),
        ("KRW-[", "trade", "\"KRW-[\" is no pattern: unclosed character class; missing ']'"),
        ("BTC", "trade", "\"BTC\" cannot be a market of toy: it has no dash"),
        (
            "KRW-BTC",
            "trades",
            "toy has no live stream \"trades\"; did you mean \"trade\"? It has trade, orderbook, ticker",
        ),
        (
            "KRW-BTC",
            "instrument",
            "toy has no live stream \"instrument\"; did you mean \"trade\"? It has trade, orderbook, ticker",
        ),
        (
            "KRW-BTC",
            "book",
            "toy has no live stream \"book\"; did you mean \"orderbook\"? It has trade, orderbook, ticker",
        ),
        ("KRW-BTC", "", "no stream was asked for; toy has trade, orderbook, ticker"),
        ("", "trade", "no market was asked for; give codes, a pattern such as 'KRW-*', or all"),
    ] {
        assert_eq!(plan(asked, streams, Listed::Fresh(&listed)), expected, "{asked} | {streams}");
    }
}

#[test]
fn an_old_list_or_none_is_no_proof_that_a_code_does_not_exist() {
    let old = markets("KRW-BTC");
    for (asked, listed, expected) in [
        ("KRW-NEW", Listed::Known(&old), "trade KRW-NEW"),
        ("KRW-* KRW-NEW", Listed::Known(&old), "trade KRW-BTC, trade KRW-NEW"),
        ("KRW-NEW", Listed::Unknown, "trade KRW-NEW"),
        (
            "all",
            Listed::Unknown,
            "\"all\" needs the list of markets, which toy did not give; name the codes, or try again later",
        ),
    ] {
        assert_eq!(plan(asked, "trade", listed), expected, "{asked} {listed:?}");
    }
}

#[test]
fn connections_keep_what_they_carry() {
    let groups = |text: &str| -> Vec<_> { text.split(" | ").map(subscriptions).collect() };
    for (before, wanted, limit, expected) in [
        ("", "trade A-A, trade B-B, trade C-C", None, "trade A-A, trade B-B, trade C-C"),
        ("", "trade A-A, trade B-B, trade C-C", Some(2), "trade A-A, trade B-B | trade C-C"),
        (
            "trade B-B, trade C-C | trade D-D",
            "trade A-A, trade B-B, trade C-C, trade D-D, trade E-E",
            Some(2),
            "trade B-B, trade C-C | trade A-A, trade D-D | trade E-E",
        ),
        (
            "trade A-A, trade B-B | trade C-C, trade D-D",
            "trade A-A, trade C-C, trade D-D",
            Some(2),
            "trade A-A | trade C-C, trade D-D",
        ),
        ("trade A-A | trade B-B", "trade B-B", Some(1), " | trade B-B"),
        ("trade A-A", "trade A-A", Some(0), "trade A-A"),
    ] {
        let before = if before.is_empty() { Vec::new() } else { groups(before) };
        let spread = spread(&before, &subscriptions(wanted), limit);
        assert_eq!(spread, groups(expected), "{wanted}");
    }
}
