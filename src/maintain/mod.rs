//! Files at rest: checked, proven, made again from kept frames. Blocking code.

pub mod coverage;
pub mod proof;
pub mod rebuild;
pub mod verify;
