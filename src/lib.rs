//! Veritape records what a market said, keeps it safe, and can say what is missing.
//!
//! The modules in reading order; a module uses those above it only.

pub mod ingest;
pub mod model;
pub mod net;
pub mod store;
pub mod venue;
