//! Datasets and the evaluation of landmarks: annotated [`dataset`]s and their [`audit`]; [`points`] in the files of many programs; the
//! [`metrics`] of found landmarks, their [`bias`], and the [`report`] that contains them; agreement without annotations ([`coherence`]);
//! films to annotate next ([`suggest`](mod@suggest)); and the fit of a bundle's calibration ([`calibrate`]).
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
pub mod bias;
pub mod calibrate;
pub mod coherence;
pub mod dataset;
pub mod metrics;
pub mod points;
pub mod report;
pub mod suggest;
mod table;
