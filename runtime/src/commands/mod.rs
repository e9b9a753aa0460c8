//! One file per command.

pub mod cycle;
pub mod data;
pub mod detect;
pub mod doctor;
pub mod evaluate;
pub mod external;
mod films;
mod inputs;
pub mod inspect;
mod tables;
