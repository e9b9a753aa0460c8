//! `onemark inspect`: what a bundle says about itself. Verifies it, runs nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use onemark_models::bundle::Bundle;

use super::tables;
use crate::console;

/// Shows what a bundle is: landmarks, graphs, measurements, origin, intended use
#[derive(Args)]
pub struct Inspect {
    /// The bundle
    bundle: PathBuf,
    /// Print its recipe too
    #[arg(long)]
    recipe: bool,
}

impl Inspect {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = Bundle::open(&self.bundle)?;
        let manifest = bundle.manifest();
        let set = &manifest.landmark_set;
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        let size = |file: &str| megabytes(manifest.files.get(file).map_or(0, |entry| entry.bytes));
        let facts = [
            ("name", manifest.name.clone()),
            ("made by", format!("{}, format {}", manifest.made_by, manifest.format)),
            ("landmarks", format!("{} of {} ({})", set.len(), set.id, set.name)),
            ("input", format!("{0}x{0} px: {1}", manifest.input.size, manifest.input.preprocessing)),
            ("files", format!("{} with {}, all verified", manifest.files.len(), megabytes(bundle.total_bytes()))),
            ("intended use", manifest.intended_use.clone()),
            ("weights licence", manifest.weights_licence.clone()),
        ];
        let facts: Vec<Vec<String>> = facts.into_iter().map(|(key, value)| vec![key.to_owned(), value]).collect();
        console::print(console::table(&facts, &[0, 1]))?;

        let mut rows = vec![["#", "landmark", "graph", "size"].map(str::to_owned).to_vec()];
        rows.push(vec![String::new(), "(all)".into(), manifest.trunk.file.clone(), size(&manifest.trunk.file)]);
        rows.extend(set.landmarks.iter().zip(&manifest.heads).map(|(landmark, head)| {
            let file = head.graph.file.clone();
            vec![landmark.number.to_string(), landmark.title.clone(), file, size(&head.graph.file)]
        }));
        console::print(format_args!("\n{}", console::table(&rows, &[1, 2])))?;
        console::print(tables::defined(&set.clone().or_built_in_analysis().analysis))?;
        if !manifest.history.is_empty() {
            console::print(format_args!("\nhistory:\n  {}\n", manifest.history.join("\n  ")))?;
        }
        if self.recipe {
            console::print(format_args!("\n{}", manifest.recipe))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
