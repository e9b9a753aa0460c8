//! The analysis for `plan-levels`: the cells of each value on which the scores of a tile depend, and the windows that contain them.

use std::collections::BTreeMap;
use std::ops::Range;

use onemark_models::bundle::tiling::{LevelWindows, Tiling};
use onemark_models::graph::{CoordinateMode, Op, Value, interpolation};

use super::plan_levels::Cut;

/// Rows and columns of a tile.
const TILE: usize = 32;
/// The width of the border of cells around a tile that are scored with it, so that a peak at its edge can be refined.
const MARGIN: i64 = 1;

/// The rows and columns that are left out at each end of a window.
pub(super) type Margins = [usize; 2];

/// The windows of all levels, each large enough for all values of its level; and the part that each value leaves out.
pub(super) fn windows(cut: &Cut<'_>) -> (Tiling, BTreeMap<Value, Margins>) {
    let tiles = 0..cut.size.div_ceil(TILE);
    let needs = [0, 1].map(|axis| tiles.clone().map(|tile| needs(cut, tile, axis)).collect::<Vec<_>>());
    let mut hulls: BTreeMap<usize, Vec<Range<i64>>> = BTreeMap::new();
    for (tile, needs) in needs.iter().flat_map(|axis| axis.iter().enumerate()) {
        for (value, need) in needs {
            let tiles = hulls.entry(cut.level(*value)).or_default();
            match tiles.get_mut(tile) {
                Some(hull) => *hull = hull.start.min(need.start)..hull.end.max(need.end),
                None => tiles.push(need.clone()),
            }
        }
    }
    let levels: Vec<LevelWindows> = hulls
        .values()
        .map(|hulls| LevelWindows {
            cells: hulls.iter().map(|hull| (hull.end - hull.start) as usize).max().unwrap_or(0),
            starts: hulls.iter().map(|hull| hull.start).collect(),
        })
        .collect();
    let margin = |value: &Value, axis: usize| {
        let LevelWindows { cells, starts } = &levels[cut.level(*value)];
        let free = starts.iter().zip(&needs[axis]).filter_map(|(start, needs)| {
            let need = needs.get(value)?;
            Some((need.start - start).min(start + *cells as i64 - need.end) as usize)
        });
        free.min().unwrap_or(0)
    };
    let values = cut.fine.iter().map(|value| (*value, [margin(value, 0), margin(value, 1)])).collect();
    (Tiling { size: cut.size, tile: TILE, levels }, values)
}

/// The cells of each value on which a tile's scores depend, along an axis (0: rows, 1: columns). They are computed backwards from the
/// scores.
fn needs(cut: &Cut<'_>, tile: usize, axis: usize) -> BTreeMap<Value, Range<i64>> {
    let first = (tile * TILE) as i64;
    let mut needs = BTreeMap::from([(cut.score, first - MARGIN..first + TILE as i64 + MARGIN)]);
    for (value, node) in cut.fine().rev() {
        let Some(need) = needs.get(&value).cloned() else { continue };
        for input in &node.inputs {
            let more = match node.op {
                Op::Conv { .. } => {
                    let reach = cut.reach(node)[axis] as i64;
                    need.start - reach..need.end + reach
                }
                Op::Upsample { factor, mode } => sources(&need, cut.head.node(*input).shape[2], factor, mode),
                _ => need.clone(),
            };
            let known = needs.entry(*input).or_insert_with(|| more.clone());
            *known = known.start.min(more.start)..known.end.max(more.end);
        }
    }
    needs
}

/// The cells, along an axis of `side` cells, from which an up-sampling computes the part of `made` that lies on the film.
fn sources(made: &Range<i64>, side: usize, factor: usize, mode: CoordinateMode) -> Range<i64> {
    let matrix = interpolation(side, factor, mode);
    let rows = matrix.rows().into_iter().enumerate().filter(|(row, _)| made.contains(&(*row as i64)));
    let (mut first, mut last) = (side, 0);
    for (_, row) in rows {
        for (cell, _) in row.iter().enumerate().filter(|(_, share)| **share != 0.0) {
            (first, last) = (first.min(cell), last.max(cell));
        }
    }
    first as i64..last as i64 + 1
}
