//! `--explain`: what each pass did to the size of the network, as a table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use onemark_models::graph::Graph;

use crate::module::Module;

/// Size of a module after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The pass, or `start`.
    pub pass: String,
    /// What runs once per film.
    pub trunk: Size,
    /// What runs once per landmark, all landmarks together.
    pub heads: Size,
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
    /// Measures a module.
    pub fn of(pass: &str, module: &Module) -> Self {
        let numbers = module.tensors.values().chain(module.constants.values()).map(|tensor| tensor.len());
        let bytes =
            module.weights.as_ref().map_or(numbers.sum::<usize>() * size_of::<f32>(), |weights| weights.bytes.len());
        let (trunk, heads) = (size([&module.trunk]), size(&module.heads));
        Self { pass: pass.to_owned(), trunk, heads, bytes }
    }
}

fn size<'a>(graphs: impl IntoIterator<Item = &'a Graph>) -> Size {
    let mut size = Size::default();
    let mut known = BTreeSet::new();
    for graph in graphs {
        size.nodes += graph.nodes().count();
        size.macs += graph.macs();
        let new = graph.params().iter().filter(|(name, _)| known.insert(name.as_str()));
        let trained = new.filter(|(name, _)| !onemark_models::graph::is_statistic(name));
        size.parameters += trained.map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>();
    }
    size
}

/// The table of all passes, a line each.
pub fn table(summaries: &[Summary]) -> String {
    let mut text = format!(
        "{:<26}{:>23}{:>31}\n{:<26}{:>7}{:>8}{:>8}{:>15}{:>8}{:>8}{:>9}\n",
        "",
        "trunk, once a film",
        "heads, all together",
        "after pass",
        "nodes",
        "Mparam",
        "GMAC",
        "nodes",
        "Mparam",
        "GMAC",
        "MB"
    );
    for Summary { pass, trunk, heads, bytes } in summaries {
        let millions = |number: usize| number as f64 / 1e6;
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{pass:<26}{:>7}{:>8.3}{:>8.2}{:>15}{:>8.3}{:>8.2}{:>9.1}",
            trunk.nodes,
            millions(trunk.parameters),
            trunk.macs as f64 / 1e9,
            heads.nodes,
            millions(heads.parameters),
            heads.macs as f64 / 1e9,
            millions(*bytes),
        );
    }
    text
}
