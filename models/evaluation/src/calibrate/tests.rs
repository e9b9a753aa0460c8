#![allow(clippy::unwrap_used)]

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Sampling error of shares of a few thousand points.
const SAMPLING: f64 = 0.02;

/// Films whose scores determine the probability that a point is wrong: scores, errors in mm and these probabilities.
fn films(count: usize, seed: u64) -> (Array2<f32>, Array2<Option<f64>>, Array2<f64>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut scores, mut errors, mut right) =
        (Array2::zeros((count, 5)), Array2::from_elem((count, 5), None), Array2::zeros((count, 5)));
    for ((film, landmark), score) in scores.indexed_iter_mut() {
        // The sum of twelve uniform numbers is nearly Gaussian.
        let strength: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        *score = (-0.7 - 0.2 * landmark as f64 + 0.3 * strength).exp() as f32;
        let probability = 1.0 / (1.0 + (-(3.0 - 0.5 * landmark as f64 + 1.2 * strength)).exp());
        let is_right = random.random::<f64>() < probability;
        errors[[film, landmark]] =
            Some(if is_right { random.random_range(0.0..=WRONG_MM) } else { random.random_range(4.1..12.0) });
        right[[film, landmark]] = probability;
    }
    (scores, errors, right)
}

fn fitted(count: usize, seed: u64) -> Calibration {
    let (scores, errors, _) = films(count, seed);
    fit("made".into(), scores.view(), errors.view(), &(0..count).collect::<Vec<_>>()).unwrap()
}

#[test]
fn confidence_is_the_probability_of_being_right() {
    let calibration = fitted(2000, 1);
    let (scores, _, right) = films(500, 2);
    let off = scores
        .indexed_iter()
        .map(|((film, landmark), score)| (calibration.confidence(landmark, *score) - right[[film, landmark]]).abs());
    let mean = off.sum::<f64>() / scores.len() as f64;
    assert!(mean < SAMPLING, "{mean}");
    assert!(calibration.confidence(0, 0.9) > calibration.confidence(0, 0.2));
}

#[test]
fn a_radius_covers_nine_in_ten() {
    let calibration = fitted(1000, 3);
    let (_, errors, _) = films(1000, 4);
    for landmark in 0..5 {
        let radius = calibration.landmarks[landmark].radius_mm;
        let covered = errors.column(landmark).iter().filter(|error| error.unwrap() <= radius).count() as f64 / 1000.0;
        assert!((covered - COVERAGE).abs() < 2.0 * SAMPLING, "landmark {landmark}: {covered}");
    }
    let Reliability { coverage, auroc, calibration_error, lost, out_of_distribution, draws } = calibration.reliability;
    assert!((coverage - COVERAGE).abs() < SAMPLING, "{coverage}");
    assert!(auroc > 0.7 && calibration_error < 2.0 * SAMPLING, "{auroc} {calibration_error}");
    assert!(lost < SAMPLING && out_of_distribution < 2.0 * SAMPLING && draws > 0, "{lost} {out_of_distribution}");
}

#[test]
fn nothing_like_it_is_not_found() {
    let calibration = fitted(200, 5);
    let (scores, ..) = films(200, 6);
    let found = scores.indexed_iter().filter(|((_, landmark), score)| calibration.is_found(*landmark, **score)).count();
    assert!(found as f64 > 0.97 * scores.len() as f64, "{found}");
    assert!(!calibration.is_found(2, 1e-4) && calibration.confidence(2, 1e-4) < 0.01);
    let film = |score: f32| (0..5).map(move |landmark| (landmark, score));
    assert!(calibration.is_out_of_distribution(film(1e-3)) && !calibration.is_out_of_distribution(film(0.4)));
}

#[test]
fn one_patients_films_stay_together() {
    // Every film occurs twice. If the two were in different halves, the estimate would be too good.
    let (scores, errors, _) = films(60, 7);
    let twice = |film: usize| film % 30;
    let rows: Vec<usize> = (0..60).map(twice).collect();
    let (scores, errors) = (scores.select(Axis(0), &rows), errors.select(Axis(0), &rows));
    let fitted = |patients: &[usize]| fit("made".into(), scores.view(), errors.view(), patients).unwrap().reliability;
    let (together, apart) = (fitted(&rows), fitted(&(0..60).collect::<Vec<_>>()));
    assert!(together.out_of_distribution > apart.out_of_distribution, "{together:?} {apart:?}");
}

#[test]
fn what_can_not_be_calibrated_says_why() {
    let (scores, errors, _) = films(30, 8);
    let refused = |scores: ArrayView2<'_, f32>, errors: ArrayView2<'_, Option<f64>>| {
        fit("made".into(), scores, errors, &(0..scores.nrows()).collect::<Vec<_>>()).unwrap_err().to_string()
    };
    let few = refused(scores.slice(s![..5, ..]), errors.slice(s![..5, ..]));
    assert!(few.contains("5 annotated films are too few"), "{few}");
    let shapes = refused(scores.view(), errors.slice(s![.., ..3]));
    assert!(shapes.contains("[30, 5]") && shapes.contains("[30, 3]"), "{shapes}");
    let mut errors = errors;
    errors[[3, 2]] = Some(f64::NAN);
    assert!(refused(scores.view(), errors.view()).contains("not a finite number"));
}

#[test]
fn a_landmark_may_be_missing_on_some_films() {
    let (scores, mut errors, _) = films(400, 9);
    let all = fit("made".into(), scores.view(), errors.view(), &(0..400).collect::<Vec<_>>()).unwrap();
    // Landmark 3 is not annotated on every second film, and its score is low there.
    let mut with_gaps = scores.clone();
    for film in (0..400).step_by(2) {
        errors[[film, 2]] = None;
        with_gaps[[film, 2]] = 1e-5;
    }
    let fitted = |scores: &Array2<f32>, errors: &Array2<Option<f64>>| {
        fit("made".into(), scores.view(), errors.view(), &(0..400).collect::<Vec<_>>())
    };
    let some = fitted(&with_gaps, &errors).unwrap();
    let [all, half] = [&all, &some].map(|calibration| &calibration.landmarks[2]);
    assert!((all.median - half.median).abs() < 0.1 && (all.deviation - half.deviation).abs() < 0.1, "{all:?} {half:?}");
    assert!(some.reliability.lost < SAMPLING, "{:?}", some.reliability);
    for film in 0..400 {
        errors[[film, 2]] = errors[[film, 2]].filter(|_| film >= 362);
    }
    let few = fitted(&with_gaps, &errors).unwrap_err().to_string();
    assert!(few.contains("landmark 3 is annotated on 19 films"), "{few}");
}

#[test]
fn a_low_score_never_makes_a_point_surer() {
    let (mut scores, errors, _) = films(200, 10);
    let patients: Vec<usize> = (0..200).collect();
    // Nothing is wrong: no slope is shown, and none is used that leans the other way.
    let right = errors.map(|_| Some(1.0));
    let flat = fit("made".into(), scores.view(), right.view(), &patients).unwrap();
    assert!(flat.slope >= 0.0 && flat.confidence(0, 0.9) >= flat.confidence(0, 0.1), "{flat:?}");
    // Wrong points are those with the high scores.
    scores.mapv_inplace(|score| 0.01 / score);
    let refused = fit("made".into(), scores.view(), errors.view(), &patients).unwrap_err();
    assert!(
        matches!(refused, CalibrationError::UpsideDown { slope, least } if slope < least && least < 0.0),
        "{refused}"
    );
    assert!(refused.to_string().contains("low scores are right more often"), "{refused}");
}
