//! Compiled code and timing on whole machines.

mod corpus;
mod timing;
