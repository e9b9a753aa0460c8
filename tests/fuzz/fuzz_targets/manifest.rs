//! Parses bytes as a manifest, then opens a bundle with this manifest only. A manifest that parses is written; parsed again, it is equal.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use onemark_models::bundle::{Bundle, Manifest};

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return };
    let text = serde_json::to_string(&manifest).expect("every manifest can be written");
    let again: Manifest = serde_json::from_str(&text).expect("what was written can be parsed");
    assert_eq!(text, serde_json::to_string(&again).expect("every manifest can be written"));
    let _ = Bundle::new(manifest, BTreeMap::new());
});
