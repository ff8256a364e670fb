//! What is ON DISK, and in which order it gets there. Blocking code; formats and the order of
//! operations are in the README beside this file.

pub mod catalog;
pub mod folder;
pub mod fs;
pub mod journal;
pub mod paths;
pub mod raw;
pub mod segment;
pub mod swap;
pub mod sweep;
