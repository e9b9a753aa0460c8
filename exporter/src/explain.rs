//! The sizes of a network after each pass, as a table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use onemark_models::graph::Graph;

use crate::compile::Progress;

/// Size of a module after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The pass or stage; `start` before the first.
    pub pass: String,
    /// The graph that runs once per film.
    pub trunk: Size,
    /// The graphs that run once per landmark if whole heads run: the sum over all landmarks.
    pub heads: Size,
    /// The graph that runs once per landmark if heads run in windows: for one landmark.
    pub coarse: Size,
    /// The graph that runs once per window.
    pub window: Size,
    /// Bytes of all numbers: as f32, and after the stage `tie-weights` as stored.
    pub bytes: usize,
}

/// The size of some graphs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Operations.
    pub nodes: usize,
    /// Trained numbers. A parameter that several graphs read is counted once.
    pub parameters: usize,
    /// Multiply-accumulates of the convolutions (METHOD.md sec. 5).
    pub macs: u64,
}

impl Summary {
    /// The sizes after a step of a compile.
    pub fn of(Progress { step, module, weights }: &Progress<'_>) -> Self {
        let numbers = || module.tensors.values().map(|tensor| tensor.len()).sum::<usize>();
        let split = module.split_head.as_ref();
        Self {
            pass: (*step).to_owned(),
            trunk: size([&module.trunk]),
            heads: size(&module.heads),
            coarse: size(split.map(|split| &split.coarse)),
            window: size(split.map(|split| &split.window)),
            bytes: weights.map_or_else(|| numbers() * size_of::<f32>(), <[u8]>::len),
        }
    }
}

fn size<'a>(graphs: impl IntoIterator<Item = &'a Graph>) -> Size {
    let mut size = Size::default();
    let mut known = BTreeSet::new();
    for graph in graphs {
        size.nodes += graph.nodes().count();
        size.macs += graph.macs();
        let new = graph.params().iter().filter(|(param, _)| known.insert(*param));
        let trained = new.filter(|(param, _)| !param.is_statistic());
        size.parameters += trained.map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>();
    }
    size
}

/// The table of all steps, one per line: nodes, parameters in millions and multiply-accumulates in billions (GMAC) of each part.
pub fn table(summaries: &[Summary]) -> String {
    let parts = ["trunk, once a film", "heads, all together", "coarse, a landmark", "a window"];
    let mut text = format!("{:<26}", "");
    // Writing to a string can't fail.
    for part in parts {
        let _ = write!(text, "{part:>25}");
    }
    let _ = write!(text, "\n{:<26}", "after pass");
    for _ in parts {
        let _ = write!(text, "{:>8}{:>8}{:>9}", "nodes", "Mparam", "GMAC");
    }
    let _ = writeln!(text, "{:>9}", "MB");
    for Summary { pass, trunk, heads, coarse, window, bytes } in summaries {
        let _ = write!(text, "{pass:<26}");
        for Size { nodes, parameters, macs } in [trunk, heads, coarse, window] {
            match nodes {
                0 => {
                    let _ = write!(text, "{:>25}", "");
                }
                _ => {
                    let (millions, billions) = (*parameters as f64 / 1e6, *macs as f64 / 1e9);
                    let _ = write!(text, "{nodes:>8}{millions:>8.3}{billions:>9.3}");
                }
            }
        }
        let _ = writeln!(text, "{:>9.1}", *bytes as f64 / 1e6);
    }
    text
}
