//! What a second look keeps of the first one (docs/METHOD.md sec. 8c): where it found the landmarks on the training films, and the
//! frame under which the second look sees them.

use ndarray::{Array2, Array3, Axis, Ix2, Ix3};
use onemark_film::Size;
use onemark_film::geometry::{GridPoint, Point};

use super::Tensors;

const POINTS: &str = "first_look.points";
const FRAME: &str = "first_look.frame";

/// Where the first look found the landmarks on the training films, and the frame for the second one.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstLook {
    /// `[films, landmarks, 2]`: x and y as shares of the film's width and height.
    points: Array3<f32>,
    /// `[landmarks, 2]`: x and y in the frame, whose corners are (0, 0) and (1, 1).
    frame: Array2<f32>,
}

impl FirstLook {
    /// From the points on a grid of `side` cells a side, for each film and landmark, and the landmarks' places in the frame.
    pub fn new(points: &[Vec<GridPoint>], side: usize, frame: &[Point]) -> Self {
        let shape = (points.len(), frame.len(), 2);
        let share = |(film, landmark, axis): (usize, usize, usize)| {
            let GridPoint { row, column } = points[film][landmark];
            let cells = if axis == 0 { column } else { row };
            (cells / side as f64) as f32
        };
        let place = |(landmark, axis): (usize, usize)| {
            let Point { x, y } = frame[landmark];
            if axis == 0 { x as f32 } else { y as f32 }
        };
        Self { points: Array3::from_shape_fn(shape, share), frame: Array2::from_shape_fn((frame.len(), 2), place) }
    }

    /// Where the first look found the landmarks on a film of this size, in px.
    pub fn on_film(&self, film: usize, size: Size) -> Vec<Point> {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let points = self.points.index_axis(Axis(0), film);
        points.outer_iter().map(|at| Point::new(f64::from(at[0]) * width, f64::from(at[1]) * height)).collect()
    }

    /// The landmarks' places in the frame.
    pub fn frame(&self) -> Vec<Point> {
        self.frame.outer_iter().map(|at| Point::new(f64::from(at[0]), f64::from(at[1]))).collect()
    }

    /// As tensors of a checkpoint.
    pub fn to_tensors(&self) -> Tensors {
        let (points, frame) = (self.points.clone().into_dyn(), self.frame.clone().into_dyn());
        [(POINTS.to_owned(), points), (FRAME.to_owned(), frame)].into()
    }

    /// From a checkpoint's tensors; `None` if it is not one of a second look.
    pub fn of(tensors: &Tensors) -> Option<Self> {
        let points = tensors.get(POINTS)?.view().into_dimensionality::<Ix3>().ok()?.to_owned();
        let frame = tensors.get(FRAME)?.view().into_dimensionality::<Ix2>().ok()?.to_owned();
        (points.dim().2 == 2 && frame.dim() == (points.dim().1, 2)).then_some(Self { points, frame })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tensors_keep_the_first_look() {
        let points = vec![vec![GridPoint::new(16.0, 8.0), GridPoint::new(0.5, 31.5)]; 3];
        let look = FirstLook::new(&points, 32, &[Point::new(0.25, 0.5), Point::new(0.75, 0.5)]);
        assert_eq!(look.on_film(2, Size { width: 200, height: 100 })[0], Point::new(50.0, 50.0));
        assert_eq!(look.frame()[1], Point::new(0.75, 0.5));
        let mut tensors = look.to_tensors();
        assert_eq!(FirstLook::of(&tensors).unwrap(), look);
        tensors.insert(FRAME.into(), Array2::zeros((3, 2)).into_dyn());
        assert_eq!(FirstLook::of(&tensors), None);
    }
}
