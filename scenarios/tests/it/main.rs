//! Integration tests of scenarios.

mod catalog;
mod diagnosis;
mod guest_image;
mod guest_run;
mod language;
mod objects;
mod posted;
mod scale;
mod scripts;
mod speeds;
mod watchdog;
mod window_cases;
mod windows;
