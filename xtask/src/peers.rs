//! The environments of the independent implementations in Python and JavaScript (tests/peers), one for each list of requirements.
//! They are made once, in the cache folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// The folder of the peers.
pub const FOLDER: &str = "tests/peers";

/// The Python of the environment `name`, with the packages that the file `requirements` in the peers' folder lists.
pub fn python(name: &str, requirements: &str) -> Result<PathBuf> {
    let environment = shell::cache()?.join(name);
    let python = environment.join("bin/python");
    if !environment.join("bin/pip").exists() {
        shell::run(shell::python().args(["-m", "venv"]).arg(&environment))
            .context("on Debian and Ubuntu: apt install python3-venv")?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement"]);
    shell::run(install.arg(format!("{FOLDER}/{requirements}")))?;
    Ok(python)
}

/// The folder in which Node.js runs the peer `name`: its files, and the packages that its package.json lists.
pub fn node(name: &str) -> Result<PathBuf> {
    let environment = shell::cache()?.join(name);
    fs::create_dir_all(&environment)?;
    for file in fs::read_dir(PathBuf::from(FOLDER).join(name))? {
        let file = file?;
        fs::copy(file.path(), environment.join(file.file_name()))?;
    }
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
    shell::run(install.current_dir(&environment)).context("on Debian and Ubuntu: apt install npm")?;
    Ok(environment)
}
