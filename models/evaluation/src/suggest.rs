//! Which film a person should annotate next: one that is unlike the films annotated so far, and on which the network is unsure.

use ndarray::{Array2, ArrayView1, Axis};
use onemark_film::geometry::GridPoint;
use onemark_models::confidence::evidence;
use onemark_models::statistics::median;

/// A landmark this much less certain than usual counts as much as one that is less certain still, in deviations.
const MOST_UNSURE: f64 = 5.0;
/// The median of a Gaussian's absolute deviations, in standard deviations.
const MEDIAN_DEVIATION: f64 = 0.6745;

/// What a network finds on films: row by row the films, column by column the landmarks.
pub struct Found {
    /// Where it finds the landmarks, on each film's own grid.
    pub points: Vec<Vec<GridPoint>>,
    /// Their scores in [0, 1]: `[films, landmarks]`.
    pub scores: Array2<f32>,
}

/// A film to annotate, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Its index among the films.
    pub film: usize,
    /// How unsure the network is on it, relative to the mean of the films to choose from: 1 is usual.
    pub unsure: f64,
    /// How unlike it is, in the places of its landmarks, to the film most like it that is annotated or suggested before; 1 is usual.
    pub unlike: f64,
    /// The landmarks (0-based) on which the network is more unsure than on other films, the most unsure first.
    pub landmarks: Vec<usize>,
}

/// Up to `count` films to annotate, the first one first. `annotated` are the films (by index) that need no annotation.
///
/// Each is the one with the largest sum of two parts, relative to their means over all films. *Unsure*: by how many deviations the
/// evidence of the landmarks is below their median over the films. *Unlike*: the distance of its landmarks, after the similarity
/// that brings them nearest to those of the median film, from the most alike film that is annotated or was suggested before.
pub fn suggest(found: &Found, annotated: &[usize], count: usize) -> Vec<Suggestion> {
    let films = found.points.len();
    let doubts = doubts(&found.scores);
    let unsure = relative((0..films).map(|film| doubts.row(film).mean().unwrap_or_default()).collect());
    let shapes = shapes(&found.points);
    let mut nearest: Vec<f64> = match annotated {
        [] => (0..films).map(|film| size(&shapes[film])).collect(),
        known => (0..films).map(|film| to_nearest(&shapes, film, known)).collect(),
    };
    let usual = mean(&nearest);
    let mut left: Vec<usize> = (0..films).filter(|film| !annotated.contains(film)).collect();
    let mut suggested = Vec::new();
    while suggested.len() < count {
        let worth = |film: usize| unsure[film] + nearest[film] / usual;
        let Some(best) = (0..left.len()).max_by(|one, other| worth(left[*one]).total_cmp(&worth(left[*other]))) else {
            break;
        };
        let film = left.remove(best);
        let mut landmarks: Vec<usize> =
            (0..doubts.ncols()).filter(|landmark| doubts[[film, *landmark]] > 1.0).collect();
        landmarks.sort_by(|one, other| doubts[[film, *other]].total_cmp(&doubts[[film, *one]]));
        suggested.push(Suggestion { film, unsure: unsure[film], unlike: nearest[film] / usual, landmarks });
        for (other, nearest) in nearest.iter_mut().enumerate() {
            *nearest = nearest.min(distance(&shapes[film], &shapes[other]));
        }
    }
    suggested
}

/// By how many deviations the evidence of each landmark is below its median over the films; 0 above it.
fn doubts(scores: &Array2<f32>) -> Array2<f64> {
    let mut doubts = scores.mapv(evidence);
    for mut landmark in doubts.axis_iter_mut(Axis(1)) {
        let usual = median(landmark.iter().copied());
        let deviation = spread(landmark.view(), usual);
        landmark.mapv_inplace(|evidence| ((usual - evidence) / deviation).clamp(0.0, MOST_UNSURE));
    }
    doubts
}

fn spread(evidence: ArrayView1<f64>, usual: f64) -> f64 {
    let deviation = median(evidence.iter().map(|evidence| (evidence - usual).abs())) / MEDIAN_DEVIATION;
    deviation.max(f64::MIN_POSITIVE)
}

/// Positions of landmarks as complex numbers.
type Shape = Vec<[f64; 2]>;

/// The films' landmarks, each film moved, turned and resized so that it lies best on the median film.
fn shapes(points: &[Vec<GridPoint>]) -> Vec<Shape> {
    let landmarks = points.first().map_or(0, Vec::len);
    let of_films = |landmark: usize, axis: fn(GridPoint) -> f64| median(points.iter().map(|film| axis(film[landmark])));
    let middle = (0..landmarks)
        .map(|landmark| [of_films(landmark, |point| point.row), of_films(landmark, |point| point.column)]);
    let middle = centred(middle.collect());
    points
        .iter()
        .map(|film| onto(centred(film.iter().map(|point| [point.row, point.column]).collect()), &middle))
        .collect()
}

fn centred(mut shape: Shape) -> Shape {
    let axis = |axis: usize| shape.iter().map(|point| point[axis]).sum::<f64>() / shape.len().max(1) as f64;
    let centre = [axis(0), axis(1)];
    shape.iter_mut().for_each(|point| *point = [point[0] - centre[0], point[1] - centre[1]]);
    shape
}

/// The offsets that are left after the similarity that brings a centred shape nearest to another.
fn onto(shape: Shape, middle: &Shape) -> Shape {
    let (mut real, mut imaginary, mut square) = (0.0, 0.0, 0.0);
    for ([x, y], [a, b]) in shape.iter().zip(middle) {
        real += x * a + y * b;
        imaginary += x * b - y * a;
        square += x * x + y * y;
    }
    let (real, imaginary) = (real / square.max(f64::MIN_POSITIVE), imaginary / square.max(f64::MIN_POSITIVE));
    let offset =
        |([x, y], [a, b]): (&[f64; 2], &[f64; 2])| [real * x - imaginary * y - a, imaginary * x + real * y - b];
    shape.iter().zip(middle).map(offset).collect()
}

fn size(shape: &Shape) -> f64 {
    shape.iter().map(|[x, y]| x * x + y * y).sum::<f64>().sqrt()
}

fn distance(one: &Shape, other: &Shape) -> f64 {
    size(&one.iter().zip(other).map(|(one, other)| [one[0] - other[0], one[1] - other[1]]).collect())
}

fn to_nearest(shapes: &[Shape], film: usize, known: &[usize]) -> f64 {
    known.iter().map(|known| distance(&shapes[film], &shapes[*known])).fold(f64::INFINITY, f64::min)
}

fn mean(numbers: &[f64]) -> f64 {
    (numbers.iter().sum::<f64>() / numbers.len().max(1) as f64).max(f64::MIN_POSITIVE)
}

fn relative(numbers: Vec<f64>) -> Vec<f64> {
    let mean = mean(&numbers);
    numbers.into_iter().map(|number| number / mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten films with four landmarks at the corners of a square, moved and turned from film to film, all of one score.
    fn ten() -> Found {
        let film = |film: usize| {
            let (sin, cos) = (0.05 * film as f64).sin_cos();
            let corner = |[y, x]: [f64; 2]| {
                GridPoint::new(50.0 + cos * y - sin * x, 50.0 + 3.0 * film as f64 + sin * y + cos * x)
            };
            [[-20.0, -20.0], [-20.0, 20.0], [20.0, 20.0], [20.0, -20.0]].map(corner).to_vec()
        };
        Found {
            points: (0..10).map(film).collect(),
            scores: Array2::from_shape_fn((10, 4), |(film, _)| 0.5 + 0.001 * film as f32),
        }
    }

    #[test]
    fn the_film_with_another_shape_comes_first_and_one_like_it_does_not_follow() {
        let mut found = ten();
        for film in [3, 6] {
            found.points[film][1].row += 15.0;
        }
        found.points[8][2].column -= 12.0;
        let films: Vec<usize> = suggest(&found, &[0], 2).iter().map(|suggestion| suggestion.film).collect();
        assert!([3, 6].contains(&films[0]) && films[1] == 8, "{films:?}");
    }

    #[test]
    fn the_unsure_film_comes_first_and_its_landmarks_are_named() {
        let mut found = ten();
        found.scores[[4, 2]] = 0.01;
        found.scores[[4, 0]] = 0.1;
        let first = &suggest(&found, &[0], 1)[0];
        assert_eq!((first.film, first.landmarks.len()), (4, 2));
        assert!(first.unsure > 2.0 && first.unlike < 2.0, "{first:?}");
    }

    #[test]
    fn annotated_films_are_not_suggested_and_no_film_twice() {
        let films: Vec<usize> = suggest(&ten(), &[2, 5], 20).iter().map(|suggestion| suggestion.film).collect();
        let mut sorted = films.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 3, 4, 6, 7, 8, 9]);
    }
}
