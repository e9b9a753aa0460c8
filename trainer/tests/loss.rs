//! The loss against the golden numbers of METHOD.md sec. 1b.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use onemark_models::recipe::Loss;
use onemark_trainer::step::loss::level_loss;
use onemark_trainer::step::pairs::{Cell, Match};
use tch::{Kind, Tensor};

/// The goldens are given to seven digits; the loss computes in f32 and adds 1e-3 to the product of norms.
const GOLDEN: f64 = 2e-6;

/// A source and a target whose similarity map is METHOD.md's: `cos[i][j] = ((7i + 3j) mod 11) / 11 - 0.3`.
/// Long vectors make the constant that is added to the product of norms vanish.
fn golden_map(length: f64) -> (Tensor, Tensor) {
    let cosines: Vec<f64> = (0..36).map(|at| f64::from((7 * (at / 6) + 3 * (at % 6)) % 11) / 11.0 - 0.3).collect();
    let sines: Vec<f64> = cosines.iter().map(|cosine| (1.0 - cosine * cosine).sqrt()).collect();
    let target = Tensor::from_slice(&[cosines, sines].concat()).view([1, 2, 6, 6]) * length;
    let source = Tensor::from_slice(&[length, 0.0]).view([1, 2, 1, 1]);
    (source, target)
}

fn loss_at(options: &Loss, positive: Cell, radius: Option<i64>) -> f64 {
    let (source, target) = golden_map(1e4);
    let point = Match { source: (0, (0, 0)), target: (0, positive), weight: 1.0 };
    f64::try_from(level_loss(options, &source, &target, &[point], 0, radius).unwrap().to_kind(Kind::Double)).unwrap()
}

#[test]
fn c2_loss_matches_the_goldens() {
    let options = Loss::default();
    for (positive, radius, golden) in
        [((2, 3), None, 11.6211909), ((2, 3), Some(2), 10.2985208), ((0, 5), Some(2), 6.2090092)]
    {
        let found = loss_at(&options, positive, radius);
        assert!((found / golden - 1.0).abs() < GOLDEN, "{positive:?} {radius:?}: {found} is not {golden}");
    }
}

#[test]
fn points_add_up_by_weight() {
    let (source, target) = golden_map(1e4);
    let point = |cell, weight| Match { source: (0, (0, 0)), target: (0, cell), weight };
    let options = Loss::default();
    let both = level_loss(&options, &source, &target, &[point((2, 3), 0.25), point((0, 5), 0.75)], 0, Some(2)).unwrap();
    let expected = 0.25 * loss_at(&options, (2, 3), Some(2)) + 0.75 * loss_at(&options, (0, 5), Some(2));
    assert!((f64::try_from(both).unwrap() / expected - 1.0).abs() < GOLDEN);
}

#[test]
fn coarse_levels_see_the_cell_that_holds_the_point() {
    // On a level of stride 4, cells (8..12, 12..16) of the film's grid are its cell (2, 3).
    let (source, target) = golden_map(1e4);
    let options = Loss::default();
    let loss = |cell, level| {
        let point = Match { source: (0, (3, 3)), target: (0, cell), weight: 1.0 };
        f64::try_from(level_loss(&options, &source, &target, &[point], level, None).unwrap()).unwrap()
    };
    assert_eq!(loss((8, 12), 2), loss((11, 15), 2));
    assert_eq!(loss((8, 12), 2), loss((2, 3), 0));
    assert_ne!(loss((12, 12), 2), loss((11, 15), 2));
}
