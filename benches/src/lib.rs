//! Benchmarks of latchup.
