//! Opens bytes as a bundle's zip. A bundle that opens is written as a zip; opened again, it has the same digest.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onemark_fuzz::scratch;
use onemark_models::bundle::Bundle;

static ZIP: LazyLock<PathBuf> = LazyLock::new(|| scratch().join("again.zip"));

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::from_bytes(bytes, "fuzz.zip") else { return };
    bundle.write_archive(&ZIP, true).expect("every bundle can be written");
    let again = Bundle::open(&*ZIP).expect("what was written can be opened");
    assert_eq!(bundle.digest(), again.digest());
});
