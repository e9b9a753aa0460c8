//! Opens bytes as a bundle's zip. A bundle that opens is written as a zip; opened again, it has the same digest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onemark_models::bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::from_bytes(bytes, "fuzz.zip") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let zip = folder.path().join("again.zip");
    bundle.write_archive(&zip, false).expect("every bundle can be written");
    let again = Bundle::open(&zip).expect("what was written can be opened");
    assert_eq!(bundle.digest(), again.digest());
});
