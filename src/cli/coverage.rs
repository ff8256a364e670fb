//! `coverage`: what is held, how much of each hour was proven live, and whether it is complete.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::config::Config;
use super::output::{self, Align};
use super::select::{instant, stream};
use super::verify::within;
use super::{Failure, Outcome, status};
use crate::maintain::coverage::{CalendarDay, HeldHour, calendar, hours};
use crate::model::condition::Condition;
use crate::model::market::Market;
use crate::model::subscription::Stream;
use crate::model::time::Timestamp;
use crate::store::catalog::{Catalog, Filter};

#[derive(Debug, Args)]
pub(super) struct CoverageArgs {
    /// Show a calendar: one line a day, or one line a month.
    #[arg(long, value_name = "UNIT")]
    by: Option<By>,
    /// Only these streams [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    streams: Vec<String>,
    /// Only this market; a calendar is of all together without it.
    #[arg(long, value_name = "MARKET")]
    market: Option<String>,
    /// Only from this day or instant on (UTC), such as 2026-01-31.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Only before this day or instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,
}

/// What one character of a calendar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// An hour: a line is a day.
    Hour,
    /// A day: a line is a month.
    Day,
}

pub(super) fn run(args: &CoverageArgs, config: &Config, as_json: bool) -> Result<Outcome, Failure> {
    let catalog = status::open(config)?;
    let streams: Vec<Stream> =
        args.streams.iter().map(|name| stream(name)).collect::<Result<_, _>>()?;
    let filter = Filter {
        market: args.market.as_deref().map(Market::new),
        within: within(args.from, args.to)?,
        // One stream is looked up; several are picked from all.
        stream: streams.first().copied().filter(|_| streams.len() == 1),
        venue: None,
    };
    let wanted = |stream| streams.is_empty() || streams.contains(&stream);
    match args.by {
        Some(by) => {
            let mut days = calendar(&catalog, &filter, args.market.is_some())?;
            days.retain(|day| wanted(day.stream));
            if as_json { output::json(&calendar_document(by, &days))? } else { draw(by, &days)? }
        }
        None => list(&catalog, &filter, &wanted, as_json)?,
    }
    Ok(Outcome::Done)
}

fn list(
    catalog: &Catalog,
    filter: &Filter,
    wanted: &dyn Fn(Stream) -> bool,
    as_json: bool,
) -> Result<(), Failure> {
    let mut hours = hours(catalog, filter)?;
    hours.retain(|hour| wanted(hour.held.stream));
    if as_json {
        let hours: Vec<Value> = hours.iter().map(document).collect();
        output::json(&json!({ "coverage": hours }))?;
        return Ok(());
    }
    let columns = [
        ("stream", Align::Left),
        ("market", Align::Left),
        ("hour", Align::Left),
        ("rows", Align::Right),
        ("covered", Align::Right),
        ("condition", Align::Left),
    ];
    let lines = hours.iter().map(|hour| {
        let held = &hour.held;
        vec![
            format!("{} {}", held.venue, held.stream),
            held.market.as_ref().map_or_else(String::new, Market::to_string),
            held.hour.to_string(),
            output::count(held.rows),
            format!("{:.1} s", held.covered.as_secs_f64()),
            hour.word().to_owned(),
        ]
    });
    output::table(&columns, lines.collect(), "nothing is held")?;
    Ok(())
}

fn document(hour: &HeldHour) -> Value {
    let held = &hour.held;
    json!({
        "venue": held.venue,
        "stream": held.stream.name(),
        "market": held.market,
        "hour": held.hour.to_string(),
        "rows": held.rows,
        "covered_s": held.covered.as_secs_f64(),
        "condition": hour.word(),
    })
}

fn calendar_document(by: By, days: &[CalendarDay]) -> Value {
    let word = |condition: Option<Condition>| condition.map(Condition::as_str);
    let days: Vec<Value> = days
        .iter()
        .map(|day| {
            let mut one = json!({
                "venue": day.venue,
                "stream": day.stream.name(),
                "market": day.market,
                "date": day.date.to_string(),
                "rows": day.rows,
                "condition": word(day.condition()),
            });
            if let (By::Hour, Some(one)) = (by, one.as_object_mut()) {
                let hours: Vec<_> = day.hours.iter().map(|hour| word(*hour)).collect();
                one.insert("hours".to_owned(), json!(hours));
            }
            one
        })
        .collect();
    json!({ "calendar": days })
}

/// The character of a condition.
const fn mark(condition: Option<Condition>) -> char {
    match condition {
        Some(Condition::Complete) => '#',
        Some(Condition::Repaired) => '+',
        Some(Condition::Unproven) => '?',
        Some(Condition::Degraded) => '!',
        Some(Condition::Missing) => 'x',
        None => '.',
    }
}

fn draw(by: By, days: &[CalendarDay]) -> std::io::Result<()> {
    if days.is_empty() {
        return output::data("nothing is held");
    }
    for of_lane in days.chunk_by(|one, next| lane(one) == lane(next)) {
        for line in lines(by, of_lane) {
            output::data(&line)?;
        }
        output::data("")?;
    }
    let legend = Condition::ALL.iter().map(|one| format!("{} {one}", mark(Some(*one))));
    let legend: Vec<String> = legend.chain(["  . nothing".to_owned()]).collect();
    output::data(legend.join("  ").trim_end())
}

fn lane(day: &CalendarDay) -> (&str, Stream, Option<&Market>) {
    (&day.venue, day.stream, day.market.as_ref())
}

/// One line for each day, or for each month, below a line that says what they are of.
fn lines(by: By, days: &[CalendarDay]) -> Vec<String> {
    use chrono::Datelike as _;

    let title = days.first().map(|day| {
        let market =
            day.market.as_ref().map_or_else(|| "all markets".to_owned(), Market::to_string);
        format!("{} {} {market}", day.venue, day.stream)
    });
    let mut lines: Vec<String> = title.into_iter().collect();
    match by {
        By::Hour => {
            lines.push(format!("{:10}  00    06    12    18", ""));
            for day in days {
                let marks: String = day.hours.iter().map(|hour| mark(*hour)).collect();
                lines.push(format!("{}  {marks}", day.date));
            }
        }
        By::Day => {
            lines.push(format!("{:7}  1        10        20        30", ""));
            let month = |day: &CalendarDay| (day.date.year(), day.date.month());
            for of_month in days.chunk_by(|one, next| month(one) == month(next)) {
                let Some(first) = of_month.first() else { continue };
                let mut marks = ['.'; 31];
                for day in of_month {
                    let place = usize::try_from(day.date.day0()).unwrap_or_default();
                    if let Some(known) = marks.get_mut(place) {
                        *known = mark(day.condition());
                    }
                }
                let marks: String = marks.iter().collect();
                lines.push(format!("{}  {marks}", first.date.format("%Y-%m")));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_has_a_character_for_each() {
        let day = |date: &str, hour: usize, condition| {
            let mut hours = [None; 24];
            hours[0] = Some(Condition::Complete);
            hours[hour] = Some(condition);
            let (venue, market) = ("v".into(), Some(Market::new("KRW-A")));
            let date = date.parse().unwrap();
            CalendarDay { venue, stream: Stream::Trade, market, date, hours, rows: 2 }
        };
        let days = [
            day("2026-10-31", 23, Condition::Repaired),
            day("2026-11-01", 1, Condition::Missing),
            day("2026-11-20", 12, Condition::Unproven),
        ];
        assert_eq!(
            lines(By::Hour, &days),
            [
                "v trade KRW-A",
                "            00    06    12    18",
                "2026-10-31  #......................+",
                "2026-11-01  #x......................",
                "2026-11-20  #...........?...........",
            ]
        );
        assert_eq!(
            lines(By::Day, &days),
            [
                "v trade KRW-A",
                "         1        10        20        30",
                "2026-10  ..............................+",
                "2026-11  !..................?...........",
            ]
        );
    }
}
