//! Finds another program: in this program's folder, otherwise on PATH.

use std::env;
use std::path::PathBuf;

/// The path of the program called `name` in the folder of the running program. If it is not there, the bare file name, which
/// [`std::process::Command`] looks for on PATH.
///
/// ```
/// let cargo = onemark_models::program::find("cargo");
/// assert!(cargo.ends_with(format!("cargo{}", std::env::consts::EXE_SUFFIX)));
/// ```
pub fn find(name: &str) -> PathBuf {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join(&file)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| file.into())
}
