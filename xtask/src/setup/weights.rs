//! torchvision's VGG19, the initial trunk of every recipe for real films.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::shell;

const URL: &str = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth";
const FILE: &str = "vgg19-dcbb9e9d.pth";

/// The start of the file's SHA-256, which its publisher put into the name.
const HASH_PREFIX: &str = "dcbb9e9d";

const FETCH: &str = "
import shutil, sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as source, open(sys.argv[2], 'wb') as target:
    shutil.copyfileobj(source, target, 1 << 20)
";

/// Makes sure that the file is in the cache folder and complete, and returns the line to print.
pub fn find_or_fetch() -> Result<String> {
    let path = shell::cache()?.join(FILE);
    if path.exists() && is_whole(&path)? {
        return Ok(format!("found: {}", path.display()));
    }
    println!("fetching {FILE} (548 MB) …");
    let part = shell::with_suffix(&path, ".part");
    shell::capture(shell::python().args(["-c", FETCH, URL]).arg(&part)).with_context(|| {
        format!(
            "cannot fetch the VGG19 weights. Fetch {URL} on any machine, put it at {}, and run this again to check it",
            path.display()
        )
    })?;
    if !is_whole(&part)? {
        bail!("{URL} sent something else: the SHA-256 of {} does not begin with {HASH_PREFIX}", part.display());
    }
    fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("fetched: {}", path.display()))
}

fn is_whole(path: &Path) -> Result<bool> {
    let mut hash = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hash))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:x}", hash.finalize()).starts_with(HASH_PREFIX))
}
