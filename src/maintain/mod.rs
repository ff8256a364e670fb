//! Files at rest: made again from kept frames. Blocking code, on a folder that nobody records
//! into.

pub mod rebuild;
