//! Holds latchup's machine against real processors.
//!
//! - [`flat`](mod@flat): a case of `oracle-cases` on the machine's instructions and flat memory
//! - [`machine`]: the same on a core of a whole machine
//! - [`native`]: the same on the host's processor, in ring 3
//! - [`ways`]: what a host executes in a way of its own
//! - [`campaign`]: many cases compared
//! - [`image`]: small programs for ring 0
//! - [`bare`]: an image on latchup
//! - [`kvm`]: the same under KVM
//! - [`compare`](mod@compare): images held against each other
//!
//! What real processors are needed for is there on x86-64 Linux only; elsewhere it says so.

pub mod bare;
pub mod campaign;
pub mod compare;
pub mod flat;
pub mod image;
pub mod kvm;
pub mod machine;
pub mod native;
pub mod ways;
