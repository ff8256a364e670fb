//! WHAT is recorded: values only. No I/O, no clock, no venue's name.

pub mod condition;
pub mod event;
pub mod frame;
pub mod gap;
pub mod job;
pub mod market;
pub mod record;
pub mod slab;
pub mod span;
pub mod spelling;
pub mod subscription;
pub mod time;
