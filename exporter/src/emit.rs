//! From a module to a bundle, in stages, each made from the one before: [`layout`] places all numbers in `weights.bin`, [`lower`]
//! turns graphs into ONNX files, [`pack`] adds the manifest. The bundle's format itself is in `onemark_models::bundle`.

pub mod layout;
pub mod lower;
pub mod pack;

/// The stages, as reports and the command line call them, and what each establishes. None can be left out.
pub const STAGES: [(&str, &str); 2] =
    [(layout::STAGE, "every parameter has its place in the weights"), (lower::STAGE, "every graph is an ONNX file")];
