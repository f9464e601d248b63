//! Litmus tests from file to verdict.

mod catalog;
mod detection;
mod model;
mod parser;
