//! Ctrl-C: the first ends the work in order, the second at once.

use std::process::exit;

use anyhow::Context as _;
use onemark_runtime::Cancel;

use crate::console;

/// The exit code of a program that Ctrl-C ended, as shells have it: 128 + SIGINT.
pub const EXIT_CODE: u8 = 130;

/// From now on, Ctrl-C cancels what is returned. May be called once in a program.
pub fn cancelled_by_ctrl_c() -> anyhow::Result<Cancel> {
    let cancel = Cancel::new();
    let handed = cancel.clone();
    let on_signal = move || {
        if handed.is_cancelled() {
            exit(EXIT_CODE.into());
        }
        handed.cancel();
        console::note(format_args!("stopping, and writing what was found so far; Ctrl-C once more ends at once"));
    };
    ctrlc::set_handler(on_signal).context("listening for Ctrl-C")?;
    Ok(cancel)
}
