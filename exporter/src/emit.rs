//! The stages from a module to a bundle: [`layout`] places all numbers in `weights.bin`, [`lower`] converts graphs to ONNX files, and
//! [`pack`] adds the manifest. The bundle's format is in `onemark_models::bundle`.

pub mod layout;
pub mod lower;
pub mod pack;

/// The names of the stages in reports and on the command line, and what each establishes. No stage can be left out.
pub const STAGES: [(&str, &str); 2] =
    [(layout::STAGE, "every parameter has its place in the weights"), (lower::STAGE, "every graph is an ONNX file")];
