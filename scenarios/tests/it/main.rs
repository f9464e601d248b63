//! Integration tests of scenarios.

mod guest_run;
mod scripts;
