//! Tests of the `latchup` command: the real binary, as people use it.

mod common;
mod distance;
mod examples;
mod program;
mod prove;
mod scenario;
mod sweep;
mod windows;
mod wrong_input;
