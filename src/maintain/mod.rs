//! Files at rest: checked, proven, made again from kept frames, merged, removed by a policy, handed
//! out. Blocking code, on a folder that nobody records into or beside the recorder, whose writer
//! publishes.

pub mod caretaker;
pub mod compact;
pub mod coverage;
pub mod export;
mod gentle;
pub mod proof;
pub mod publisher;
pub mod rebuild;
pub mod retain;
pub mod room;
pub mod verify;
