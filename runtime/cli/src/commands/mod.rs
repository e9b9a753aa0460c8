//! One file per command.

pub mod adapt;
pub mod annotate;
pub mod calibrate;
pub mod cycle;
pub mod data;
pub mod detect;
pub mod doctor;
pub mod evaluate;
pub mod external;
mod films;
pub mod inspect;
pub mod landmarks;
pub mod points;
pub mod replay;
mod said;
pub mod shell;
pub mod sign;
pub mod suggest;
pub mod tables;
pub mod verify;
pub mod view;
