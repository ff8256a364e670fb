//! One binary for the tests that run the real program, and for the rules that the code and its
//! documents keep. What each file shows, and how to add to it, stands in `tests/README.md`.

#[cfg(test)]
mod backfill;
#[cfg(test)]
mod capture;
#[cfg(test)]
mod caretaker;
#[cfg(test)]
mod compact;
#[cfg(test)]
mod config;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod day;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod format;
#[cfg(test)]
mod handover;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod http;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod midnight;
#[cfg(test)]
mod notify;
mod page;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod rebuild;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod service;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod verify;
