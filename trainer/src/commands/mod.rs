//! The subcommands, one per file, and what those that train have in common.

pub mod console;
pub mod lab;
pub mod reproduce;
pub mod run;
