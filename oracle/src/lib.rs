//! Holds latchup's machine against real processors.
//!
//! - [`flat`](mod@flat): a case of `oracle-cases` on the machine's instructions and flat memory
//! - [`machine`]: the same on a core of a whole machine
//! - [`native`]: the same on the host's processor, in ring 3
//! - [`campaign`]: many cases compared
//!
//! What real processors are needed for is there on x86-64 Linux only; elsewhere it says so.

pub mod campaign;
pub mod flat;
pub mod machine;
pub mod native;
