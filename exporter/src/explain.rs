//! `--explain`: what each pass did to the size of the network, as a table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use onemark_models::graph::Graph;

use crate::compile::Progress;

/// Size of a module after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The pass, or `start`.
    pub pass: String,
    /// What runs once per film.
    pub trunk: Size,
    /// What runs once per landmark where heads run whole, all landmarks together.
    pub heads: Size,
    /// What runs once per landmark where heads run in part, for one landmark.
    pub coarse: Size,
    /// What runs once per window.
    pub window: Size,
    /// Bytes of all numbers: once laid out, as laid out.
    pub bytes: usize,
}

/// Size of some graphs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Operations.
    pub nodes: usize,
    /// Trained numbers; those that several graphs read count once.
    pub parameters: usize,
    /// Multiply-accumulates of the convolutions (as METHOD.md sec. 5 counts).
    pub macs: u64,
}

impl Summary {
    /// Measures what a step of a compile made.
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

/// The table of all passes, a line each: nodes, parameters in millions and multiply-accumulates in milliards of each part.
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
                    let (millions, milliards) = (*parameters as f64 / 1e6, *macs as f64 / 1e9);
                    let _ = write!(text, "{nodes:>8}{millions:>8.3}{milliards:>9.3}");
                }
            }
        }
        let _ = writeln!(text, "{:>9.1}", *bytes as f64 / 1e6);
    }
    text
}
