//! The versions, machine and command of a run, needed to compare or repeat it.

use std::path::Path;
use std::time::SystemTime;

use onemark_models::files::write_whole;
use serde_json::{Value, json};
use tch::{Cuda, Device, Kind};

use crate::TrainError;
use crate::net::precision;
use crate::report::log::RunLog;

/// The file's name in a run's folder.
const FILE: &str = "environment.json";

/// Writes `environment.json` into a run's folder and logs the same. A run that is resumed elsewhere gets a new file; the log keeps
/// all of them.
///
/// # Errors
/// The folder can't be written to.
pub fn record(folder: &Path, device: Device, kind: Kind, log: &mut RunLog) -> Result<(), TrainError> {
    let environment = describe(device, kind);
    let path = folder.join(FILE);
    let text = format!("{environment:#}\n");
    write_whole(&path, text.as_bytes()).map_err(|source| TrainError::Write { path, source })?;
    log.event(&json!({"event": "environment", "environment": environment}))
}

fn describe(device: Device, kind: Kind) -> Value {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    json!({
        "program": concat!("onemark-train ", env!("CARGO_PKG_VERSION")),
        "libtorch": option_env!("ONEMARK_LIBTORCH_VERSION"),
        "command": std::env::args().collect::<Vec<_>>(),
        "started": seconds,
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "processor": processor(),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "threads": tch::get_num_threads(),
        "device": format!("{device:?}"),
        "precision": precision::name(kind),
        "cuda_devices": Cuda::device_count(),
        "cudnn": Cuda::cudnn_is_available(),
    })
}

/// The processor's name, on systems that state it.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
