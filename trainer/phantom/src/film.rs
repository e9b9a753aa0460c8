//! Makes a film of a body's attenuation: marks it, makes its tissue uneven, blurs, exposes, adds grain and enlarges.

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};
use imageproc::filter::gaussian_blur_f32;
use imageproc::geometric_transformations::{Interpolation, Projection, warp_into};

use crate::render::{self, Field, Material, STEP, Shape, material};
use crate::variation::{At, Dice};
use crate::{FILM, Point};

/// The material of marks on the film.
pub const LEAD: Material = material(12.0, &[(0.0, 300.0)]);

/// The strokes of the word PHANTOM, in units of a letter's quarter width.
#[rustfmt::skip]
const LABEL: &[&[At]] = &[
    &[[0.0, 6.0], [0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]],
    &[[6.0, 0.0], [6.0, 6.0], [6.0, 3.0], [10.0, 3.0], [10.0, 0.0], [10.0, 6.0]],
    &[[12.0, 6.0], [14.0, 0.0], [16.0, 6.0], [15.0, 3.5], [13.0, 3.5]],
    &[[18.0, 6.0], [18.0, 0.0], [22.0, 6.0], [22.0, 0.0]],
    &[[24.0, 0.0], [28.0, 0.0], [26.0, 0.0], [26.0, 6.0]],
    &[[30.0, 0.0], [34.0, 0.0], [34.0, 6.0], [30.0, 6.0], [30.0, 0.0]],
    &[[36.0, 6.0], [36.0, 0.0], [38.0, 3.0], [40.0, 0.0], [40.0, 6.0]],
];

/// The film of an attenuation, [`FILM`] px.
pub fn make(mut field: Field, dice: &mut Dice) -> GrayImage {
    for stroke in LABEL {
        // Every knot twice, because letters have corners.
        let knots = stroke.iter().flat_map(|&[x, y]| [[70.0 + 9.0 * x, 120.0 + 9.0 * y]; 2]);
        let knots: Vec<_> = knots.map(|[x, y]| Point { x, y }).collect();
        render::add(&mut field, &knots, Shape::Band(5.0), &LEAD, 1.0);
    }
    roughen(&mut field, dice);
    let field = gaussian_blur_f32(&field, 0.55 + 0.5 * dice.uniform() as f32);
    enlarge(&develop(field, dice))
}

/// Real tissue is uneven: multiplies by soft noise, coarse for the brain's marks on the vault, fine for spongy bone.
fn roughen(field: &mut Field, dice: &mut Dice) {
    let (width, height) = field.dimensions();
    for (grain, amount) in [(120, 0.5), (30, 0.25), (8, 0.2), (3, 0.2)] {
        // Around a half, because resizing clamps to 0..1.
        let noise = || Luma([(0.5 + 0.12 * dice.normal()) as f32]);
        let noise = noise_field(width / grain + 2, height / grain + 2, noise);
        let noise = imageops::resize(&noise, width, height, FilterType::CatmullRom);
        for (value, noise) in field.iter_mut().zip(noise.iter()) {
            *value *= 1.0 + amount * (noise - 0.5);
        }
    }
}

fn noise_field(width: u32, height: u32, mut noise: impl FnMut() -> Luma<f32>) -> Field {
    Field::from_fn(width, height, |_, _| noise())
}

/// Scatter, grain and the film's characteristic curve, all differing from film to film.
fn develop(mut field: Field, dice: &mut Dice) -> GrayImage {
    let (width, height) = field.dimensions();
    let scatter = 0.9 + 0.2 * dice.normal();
    let slope = dice.shift([0.12, 0.12]);
    let grain = 0.035 + 0.02 * dice.uniform();
    let noise = noise_field(width, height, || Luma([(grain * dice.normal()) as f32]));
    let noise = gaussian_blur_f32(&noise, 0.6);
    for ((x, y, value), noise) in field.enumerate_pixels_mut().zip(noise.iter()) {
        let u = f64::from(x) / f64::from(width) - 0.5;
        let v = f64::from(y) / f64::from(height) - 0.5;
        let haze = scatter * (2.0 * (u * u + v * v) + u.max(0.0).powi(2)) + slope[0] * u + slope[1] * v;
        value.0[0] += haze as f32 + noise;
    }
    let (speed, contrast) = (1.3 + 0.1 * dice.normal(), 2.0 + 0.14 * dice.normal());
    render::expose(&field, speed as f32, contrast as f32)
}

/// Enlarges to [`FILM`] px: the centre of a drawn pixel is the centre of the [`STEP`] x [`STEP`] px it covers.
fn enlarge(drawn: &GrayImage) -> GrayImage {
    let (step, middle) = (STEP as f32, (STEP / 2) as f32);
    let projection = Projection::scale(step, step).and_then(Projection::translate(middle, middle));
    let mut film = GrayImage::new(FILM.0, FILM.1);
    warp_into(drawn, &projection, Interpolation::Bilinear, Luma([255]), &mut film);
    film
}
