//! Proof that the machine is right, in parts that anyone can repeat:
//!
//! - [`protocol`]: every state that the coherence protocol can reach, checked;
//! - [`corpus`]: compiled C programs with the results that they have natively;
//! - [`timing`]: latencies measured, stated and published.

pub mod corpus;
pub mod protocol;
pub mod timing;

pub use object;
