//! Pictures from whole histories: both formats, structure, odd data.

mod data;
mod structure;
