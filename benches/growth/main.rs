//! How costs grow, with the age of a folder and with the number of markets:
//! `cargo bench --bench growth`, about two minutes.
//!
//! First the catalog of a recorder that ran for a week, a month, three months and a year, made
//! through the store's own catalog (`year` says what of), and what is asked of it: by the real
//! program, and in this process where a command would measure more than that. Then the real program
//! records 1 to 5,000 markets from the simulated venue, 1,000 frames a second of all together.
//! Prints two tables in Markdown; times are the best of three, where they are short.
//!
//! | variable | what |
//! |---|---|
//! | `VERITAPE_BENCH_MARKETS` | markets of the aged folders: 100 |
//! | `VERITAPE_BENCH_DAYS` | the ages, with commas between: 7,30,91,365; none: no such table |
//! | `VERITAPE_BENCH_PROGRAM` | the program, where it is another one than that of this build |
//! | `VERITAPE_BENCH_COUNTS` | the numbers of markets: 1,10,100,855,5000; none: no such table |

mod aged;
mod markets;
mod program;
mod table;
mod year;

use std::error::Error;
use std::io::{self, Write as _};
use std::str::FromStr;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    let markets = list("MARKETS", &[100])?.first().copied().unwrap_or(100);
    let ages = list("DAYS", &aged::AGES)?;
    if !ages.is_empty() {
        writeln!(out, "{markets} markets of three streams:\n\n{}", aged::measure(&ages, markets)?)?;
    }
    let counts = list("COUNTS", &markets::COUNTS)?;
    if !counts.is_empty() {
        writeln!(out, "{}", markets::measure(&counts)?)?;
    }
    Ok(())
}

fn list<T>(name: &str, usual: &[T]) -> Result<Vec<T>, Box<dyn Error>>
where
    T: FromStr<Err: Error + 'static> + Clone,
{
    let Ok(text) = std::env::var(format!("VERITAPE_BENCH_{name}")) else {
        return Ok(usual.to_vec());
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Ok(parts.map(str::parse).collect::<Result<_, _>>()?)
}

/// A count as a double. Nothing here counts beyond 2^53.
#[expect(clippy::cast_precision_loss, reason = "for figures that are shown with few digits")]
pub(crate) const fn real(count: u64) -> f64 {
    count as f64
}
