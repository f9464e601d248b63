//! Proof that the machine is right, in parts that anyone can repeat:
//!
//! - [`protocol`]: every state that the coherence protocol can reach, checked;
//! - [`corpus`]: compiled C programs with the results that they have natively;
//! - [`timing`]: latencies measured, stated and published;
//! - [`speed`]: runs with every speed-up on, off, and through snapshots, compared.

pub mod corpus;
pub mod protocol;
pub mod speed;
pub mod timing;

pub use object;
