//! What is asked about a week costs what the week holds, however much there is beside it.

use super::super::read::STEPS;
use super::*;
use crate::model::condition::Condition;

const MARKETS: i64 = 10;
const DAY_US: i64 = 24 * HOUR_US;

/// What a day leaves: three connections with a gap behind each, and for each market a job that closed
/// the gap, rows of each hour, and a condition.
fn day(catalog: &mut Catalog, day: i64) {
    let market = |n: i64| format!("KRW-{n:02}");
    let (mut change, mut conditions) = (Change { at: at(0), ..Change::default() }, Vec::new());
    for turn in 0..3 {
        let id = day * 1_000 + turn * 100 + 1;
        let (from, to) =
            (day * DAY_US + turn * 8 * HOUR_US, day * DAY_US + (turn * 8 + 7) * HOUR_US);
        let up = SessionRow { opened: at(from), ..session(id, Some(to), Some(to)) };
        change.sessions.push(up);
        change.gaps.push((id, gap(None, to, Some(to + HOUR_US), GapState::Repaired)));
        for n in 0..MARKETS {
            change.live.push(live(id, &market(n), from, None));
            let span = Span::new(at(to), at(to + HOUR_US)).unwrap();
            let market = Market::new(market(n));
            change.jobs.push(Job { market, span, ..job(id + 1 + n, JobState::Done, Some(id)) });
        }
    }
    for n in 0..MARKETS {
        for of_day in 0..24 {
            let of = hour(Some(&market(n)), day * 24 + of_day, 5, 1, 2);
            conditions.push(ConditionRow {
                venue: of.venue.clone(),
                stream: of.stream,
                market: Market::new(market(n)),
                hour: of.hour,
                condition: Condition::Complete,
                rows: 5,
                covered_us: 1,
                evidence: vec![],
                evidence_rows: 0,
                ledger: 0,
                numbers: "{}".to_owned(),
                checked_at: at(0),
            });
            change.hours.push(of);
        }
    }
    catalog.publish(&change).unwrap();
    catalog.put_conditions(&conditions).unwrap();
}

type Question = fn(&Catalog, &Filter) -> usize;

const QUESTIONS: [(&str, Question); 6] = [
    ("live", |catalog, filter| catalog.live(filter).unwrap().len()),
    ("recorded", |catalog, filter| catalog.recorded(filter).unwrap().len()),
    ("conditions", |catalog, filter| catalog.conditions(filter).unwrap().len()),
    ("gaps", |catalog, filter| catalog.gaps(filter).unwrap().len()),
    ("asked_again", |catalog, filter| catalog.asked_again(filter).unwrap().len()),
    ("coverage", |catalog, filter| catalog.coverage(filter).unwrap().len()),
];

/// How many steps each question takes about a week of `days` from `first` on, and what it finds.
fn steps(days: i64, first: i64) -> Vec<(&'static str, usize, i32)> {
    let (_folder, path) = home();
    let mut catalog = Catalog::open(&path).unwrap();
    (0..days).for_each(|one| day(&mut catalog, one));
    // One job that takes all of it.
    let span = Span::new(at(0), at(days * DAY_US)).unwrap();
    let whole = Job { span, ..job(900, JobState::Done, None) };
    catalog.publish(&Change { jobs: vec![whole], ..Change::default() }).unwrap();
    let within = Span::new(at(first * DAY_US), at((first + 7) * DAY_US));
    let filter = Filter { within, ..Filter::default() };
    let ask = |(name, question): &(&'static str, Question)| {
        STEPS.set(0);
        (*name, question(&catalog, &filter), STEPS.get())
    };
    QUESTIONS.iter().map(ask).collect()
}

fn check(short: Vec<(&'static str, usize, i32)>, long: Vec<(&'static str, usize, i32)>) {
    for ((name, found, few), (_, found_again, many)) in short.into_iter().zip(long) {
        assert!(found > 0, "{name}");
        assert_eq!(found, found_again, "{name}");
        // The ends of sessions and gaps are looked through; there are few of them.
        assert!(
            many < few * 3 / 2 + 500,
            "{name}: {few} steps, and {many} beside six times as much"
        );
    }
}

#[test]
fn a_week_costs_the_same_in_a_long_recording() {
    check(steps(10, 2), steps(60, 52));
    check(steps(10, 2), steps(60, 2));
}
