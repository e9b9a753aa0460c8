//! What is known of films beyond their pixels, and how good found landmarks are: [`dataset`]s and their [`audit`], [`metrics`],
//! and the fit that makes a bundle's confidence ([`calibrate`]).

pub mod audit;
pub mod calibrate;
pub mod dataset;
pub mod metrics;
