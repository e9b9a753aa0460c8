//! Augmentation against Pillow, SciPy and OpenCV (goldens/augment.py), METHOD.md's golden rows, and points against pictures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ndarray::Array2;
use onemark_film::{Film, Size};
use onemark_models::recipe::{AffineRange, Border, Jitter};
use onemark_trainer::data::augment::{adjust, jitter, rotate_patch, rotate_point};
use onemark_trainer::data::warp::{Affine, warp, warp_film};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// METHOD.md gives its golden rows to four decimals.
const METHOD_TOLERANCE: f32 = 1e-4;
/// f32 results against the goldens' f64.
const F32_TOLERANCE: f32 = 1e-5;
/// A point sent through an affine map and back, cells.
const POINT_TOLERANCE: f64 = 1e-9;
/// The centre of mass of a bilinearly warped blob against the exact point, cells.
const BLOB_TOLERANCE: f64 = 0.01;
/// As METHOD.md sec. 1b: this many random markers.
const MARKERS: usize = 400;
/// A point this near the border of two cells may peak in either, with SciPy too: in 1 of 200 cases, by at most 0.005.
const CELL_TIE: f64 = 0.01;

#[derive(Deserialize)]
struct Goldens {
    jitter: JitterGoldens,
    rotate: RotateGoldens,
    warp: WarpGoldens,
}

#[derive(Deserialize)]
struct JitterGoldens {
    film: Vec<Vec<f32>>,
    cases: Vec<JitterCase>,
}

#[derive(Deserialize)]
struct JitterCase {
    brightness: f32,
    contrast: f32,
    contrast_first: bool,
    expected: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct RotateGoldens {
    patch: Vec<Vec<f32>>,
    cases: Vec<RotateCase>,
}

#[derive(Deserialize)]
struct RotateCase {
    angle: f64,
    expected: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct WarpGoldens {
    film: Vec<Vec<f32>>,
    cases: Vec<WarpCase>,
}

#[derive(Deserialize)]
struct WarpCase {
    degrees: f64,
    scale: f64,
    shift: [f64; 2],
    border: String,
    expected: Vec<Vec<f32>>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/augment.json")).unwrap()
}

fn film(rows: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(5)
}

#[track_caller]
fn assert_close(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32) {
    assert_eq!(found.dim(), expected.dim());
    let worst = (found - expected).into_iter().fold(0.0_f32, |worst, difference| worst.max(difference.abs()));
    assert!(worst <= tolerance, "differs by {worst}:\n{found}\n{expected}");
}

#[test]
fn jitter_steps_are_pillows() {
    let goldens = goldens().jitter;
    for case in goldens.cases {
        let mut found = film(&goldens.film) / 255.0;
        adjust(&mut found, case.brightness, case.contrast, case.contrast_first);
        assert_eq!(
            found,
            film(&case.expected) / 255.0,
            "{} {} {}",
            case.brightness,
            case.contrast,
            case.contrast_first
        );
    }
}

#[test]
fn eight_bit_films_survive_jitter_without_range() {
    let every_grey = Array2::from_shape_fn((16, 16), |(i, j)| (16 * i + j) as f32 / 255.0);
    let mut jittered = every_grey.clone();
    jitter(&mut jittered, &Jitter { brightness: 0.0, contrast: 0.0, gamma: 0.0 }, &mut random());
    assert_eq!(jittered, every_grey);
}

#[test]
fn rotation_has_methods_golden_rows() {
    let ramp = Array2::from_shape_fn((6, 6), |(i, j)| (6 * i + j) as f32 / 35.0);
    let rows = [
        (0.0, [[0.0684, 0.1026, 0.1301, 0.1575, 0.1917, 0.0], [0.2737, 0.3079, 0.3353, 0.3628, 0.3970, 0.0]]),
        (10.0, [[0.0306, 0.0762, 0.1331, 0.1971, 0.2680, 0.0], [0.2109, 0.2747, 0.3326, 0.3875, 0.4484, 0.0]]),
        (-20.0, [[0.0, 0.2233, 0.1796, 0.1294, 0.1057, 0.0], [0.4199, 0.3912, 0.3628, 0.3352, 0.2984, 0.2524]]),
    ];
    for (degrees, expected) in rows {
        let rotated = rotate_patch(&ramp, f64::to_radians(degrees));
        assert_close(&rotated.slice(ndarray::s![..2, ..]).to_owned(), &ndarray::arr2(&expected), METHOD_TOLERANCE);
    }
}

#[test]
fn rotation_is_scipys() {
    let goldens = goldens().rotate;
    for case in goldens.cases {
        assert_close(&rotate_patch(&film(&goldens.patch), case.angle), &film(&case.expected), F32_TOLERANCE);
    }
}

#[test]
fn rotated_marker_peaks_at_the_rotated_point() {
    let (n, mut rng) = (192, random());
    for _ in 0..MARKERS {
        let cell = [rng.random_range(19..172), rng.random_range(19..172)];
        let angle = rng.random_range(-20.0_f64..20.0).to_radians();
        let (i, j) = rotate_point((cell[0] as f64, cell[1] as f64), n, angle);
        if [i, j].iter().any(|at| !(0.0..n as f64 - 1.0).contains(at)) {
            continue; // Left the patch: METHOD.md gives the odds as 8e-5.
        }
        let mut marker = Array2::zeros((n, n));
        marker[cell] = 1.0;
        let rotated = rotate_patch(&marker, angle);
        let peak = rotated.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        let off = (peak.0 as f64 - i).abs().max((peak.1 as f64 - j).abs());
        assert!(off <= 0.5 + CELL_TIE, "{cell:?} turned by {angle} peaks at {peak:?}, not at ({i}, {j})");
    }
}

#[test]
fn patch_centre_stays_at_every_angle() {
    let (i, j) = rotate_point((96.0, 96.0), 192, 0.3);
    assert_eq!((i, j), (95.5, 95.5)); // METHOD.md sec. 4, item 12: the tie is real, and its rounding the caller's.
}

#[test]
fn warps_are_opencvs_and_scipys() {
    let goldens = goldens().warp;
    let source = film(&goldens.film);
    for case in goldens.cases {
        let affine = Affine::about_centre(case.degrees.to_radians(), [case.scale; 2], case.shift, source.dim());
        let border = if case.border == "zero" { Border::Zero } else { Border::Nearest };
        assert_close(&warp(&source, &affine.into(), border), &film(&case.expected), F32_TOLERANCE);
    }
}

#[test]
fn points_follow_random_warps() {
    let range = AffineRange { degrees: 20.0, shift: 0.05, scale: 0.1, anisotropic: true };
    let (size, mut rng) = ((90, 120), random());
    let at = (40.0, 65.0);
    let blob = Array2::from_shape_fn(size, |(i, j)| {
        (-((i as f64 - at.0).powi(2) + (j as f64 - at.1).powi(2)) / 50.0).exp() as f32
    });
    for _ in 0..20 {
        let affine = Affine::random(&range, size, &mut rng);
        let (row, column) = affine.inverse().apply(at);
        let back = affine.apply((row, column));
        assert!((back.0 - at.0).hypot(back.1 - at.1) < POINT_TOLERANCE);

        let warped = warp(&blob, &affine.into(), Border::Zero);
        let (mut mass, mut sum) = (0.0, (0.0, 0.0));
        for ((i, j), grey) in warped.indexed_iter() {
            let grey = f64::from(*grey);
            mass += grey;
            sum = (sum.0 + grey * i as f64, sum.1 + grey * j as f64);
        }
        assert!((sum.0 / mass - row).hypot(sum.1 / mass - column) < BLOB_TOLERANCE);
    }
}

#[test]
fn random_affines_keep_to_their_range() {
    let range = AffineRange { degrees: 5.0, shift: 0.02, scale: 0.01, anisotropic: false };
    let mut rng = random();
    for _ in 0..200 {
        let forth = Affine::random(&range, (2400, 1935), &mut rng).inverse();
        let [[a, b], [c, d]] = forth.matrix;
        assert!((a - d).abs() < POINT_TOLERANCE && (b + c).abs() < POINT_TOLERANCE, "one scale for both axes");
        assert!((0.99 - POINT_TOLERANCE..1.01 + POINT_TOLERANCE).contains(&a.hypot(b)));
        assert!(c.atan2(a).to_degrees().abs() <= range.degrees + POINT_TOLERANCE);
        let centre = (1199.5, 967.0);
        let (row, column) = forth.apply(centre);
        assert!(
            (row - centre.0).abs() <= 48.0 + POINT_TOLERANCE && (column - centre.1).abs() <= 38.7 + POINT_TOLERANCE
        );
    }
}

#[test]
fn films_warp_as_their_grids_do() {
    let mut rng = random();
    let grey: Vec<u8> = (0..23 * 37).map(|_| rng.random()).collect();
    let grid = Array2::from_shape_fn((23, 37), |(i, j)| f32::from(grey[37 * i + j]));
    let film = Film::from_grey(Size { width: 37, height: 23 }, grey).unwrap();
    let affine = Affine::about_centre(0.2, [1.1, 0.9], [1.5, -0.25], grid.dim());
    for border in [Border::Zero, Border::Nearest] {
        let warped = warp_film(&film, &affine.into(), border);
        let expected: Vec<u8> = warp(&grid, &affine.into(), border).iter().map(|grey| grey.round() as u8).collect();
        assert_eq!(warped, expected);
    }
}
