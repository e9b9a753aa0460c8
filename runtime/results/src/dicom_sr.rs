//! DICOM structured reports (TID 1500).

mod content;
mod report;

pub use report::write;
