//! The oracle itself: as much of it as fits in a test, and what other hosts can check.

mod images;
mod instructions;
