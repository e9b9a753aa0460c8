//! One file per command.

pub mod cycle;
pub mod data;
pub mod detect;
pub mod doctor;
pub mod evaluate;
pub mod external;
mod films;
pub mod inspect;
mod outputs;
mod tables;
