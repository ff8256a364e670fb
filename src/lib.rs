//! Veritape records what a market said, keeps it safe, and can say what is missing.
//!
//! In reading order: `model`, `venue`, `store`, `net`, `ingest`, `backfill`, `maintain`, `serve`, `sim`, `cli`; a
//! module uses those before it only.

pub mod backfill;
pub mod cli;
pub mod ingest;
pub mod maintain;
pub mod model;
pub mod net;
pub mod serve;
pub mod sim;
pub mod store;
pub mod venue;
