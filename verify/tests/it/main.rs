//! Compiled code and timing on whole machines.

mod corpus;
mod speed;
mod timing;
