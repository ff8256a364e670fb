//! The past, by REST: what is missing of it, and the jobs that bring it.
//!
//! A page is a frame like any other: it goes through the same queue, journal, decoder and merge as
//! what came live. So nothing here writes a file or decides what a row is.
//!
//! - [`held`] reads from the catalog what need not be asked for.
//! - [`plan`] makes jobs of what is wanted and not held. Pure.
//! - [`pager`] is one job: which page is next, and whether an answer can be that page. Pure.
//! - [`run`] executes jobs, within the rates.
//! - [`repair`] makes jobs of gaps, and sees to it that they are done.
//!
//! Invariants: the page after one is asked for only when the writer says that one is durable, so a
//! kill costs at most the pages on their way; an answer that cannot be the page asked for is never
//! taken for it; what fails for one market does not end the work on others.

pub mod held;
pub mod pager;
pub mod plan;
pub mod repair;
pub mod run;
