//! `onemark doctor`: which backends work here, and why the others don't.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
#[cfg(feature = "onnxruntime")]
use onemark_runtime::backend::{self, Library};
use onemark_runtime::{BackendKind, Chain, Detector, Options, RuntimeError};

use crate::console;
use crate::trust::TrustOptions;

/// Shows which backends work on this machine, and why the others don't
#[derive(Args)]
pub struct Doctor {
    /// A bundle to open with every backend that works
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Doctor {
    /// Fails only if no backend works, or if a backend that works can't open the bundle.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        console::print(format_args!("onemark {}\n", env!("CARGO_PKG_VERSION")))?;
        #[cfg(feature = "onnxruntime")]
        tell_of_the_library()?;
        let bundle = self.bundle.as_ref().map(|path| self.trust.open(path)).transpose()?;
        let (mut working, mut failed) = (0, 0);
        console::print("\n")?;
        for &kind in BackendKind::compiled() {
            match kind.probe() {
                // It was said above.
                Err(RuntimeError::Library { .. }) => {
                    console::print(format_args!("{kind:<17} no: it needs ONNX Runtime\n"))?
                }
                Err(why) => console::print(format_args!("{kind:<17} no: {}\n", console::explain(&why.into())))?,
                Ok(about) => {
                    working += 1;
                    console::print(format_args!("{kind:<17} works: {about}\n"))?;
                    let start = Instant::now();
                    let options = Options::default().with_backend(kind);
                    let opened = bundle.as_ref().map(|bundle| Detector::new(bundle, options));
                    let seconds = start.elapsed().as_secs_f64();
                    match opened {
                        None => {}
                        Some(Ok(_)) => console::print(format_args!("{:<17} opens the bundle in {seconds:.1} s\n", ""))?,
                        Some(Err(why)) => {
                            failed += 1;
                            console::print(format_args!("{:<17} can't open the bundle: {}\n", "", Chain(&why)))?;
                        }
                    }
                }
            }
        }
        Ok(if working > 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Prints which ONNX Runtime there is, or why there is none.
#[cfg(feature = "onnxruntime")]
fn tell_of_the_library() -> anyhow::Result<()> {
    match backend::library() {
        Ok(Library { path, version, cuda }) => {
            let cuda = if *cuda { "with CUDA" } else { "without CUDA" };
            console::print(format_args!("ONNX Runtime {version}, built {cuda}: {}\n", path.display()))
        }
        Err(why) => console::print(format_args!("{}\n", console::explain(&why.into()))),
    }
}
