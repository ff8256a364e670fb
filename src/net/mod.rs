//! HOW bytes travel: connections, requests, and the rates they keep to. Async; nothing here knows
//! what the bytes mean.

pub mod backoff;
pub mod budget;
pub mod clock;
pub mod connect;
pub mod http;
pub mod session;
pub mod tls;
mod transport;
pub mod wire;

#[cfg(test)]
pub(crate) mod testing;
