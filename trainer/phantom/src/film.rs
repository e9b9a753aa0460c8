//! Makes one film: draws the head, makes its tissue uneven, blurs, exposes, adds grain and enlarges.

use crate::Point;
use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};
use imageproc::filter::gaussian_blur_f32;
use imageproc::geometric_transformations::{Interpolation, Projection, warp_into};

use crate::FILM;
use crate::anatomy::{self, At, Group};
use crate::head::{Dice, Head, Motion};
use crate::render::{self, Field, Material, Shape};

/// Films are drawn with pixels this many film px wide and then enlarged, because real film is not sharper.
const STEP: u32 = 3;

/// The film of `head`, [`FILM`] px.
pub fn make(head: Head, dice: &mut Dice) -> GrayImage {
    let mut beam = Beam { head, field: Field::new(FILM.0 / STEP, FILM.1 / STEP) };
    for part in anatomy::PARTS {
        let strength = 1.0 + 0.12 * dice.normal();
        beam.add(part.group, part.shape, part.material, strength, part.knots);
    }
    add_teeth(&mut beam, dice);
    add_vertebrae(&mut beam, dice);
    add_cells(&mut beam, dice);
    for stroke in anatomy::LABEL {
        // Every knot twice, because letters have corners.
        let knots = stroke.iter().flat_map(|&[x, y]| [[70.0 + 9.0 * x, 120.0 + 9.0 * y]; 2]);
        beam.add(Group::Film, Shape::Band(5.0), &anatomy::LEAD, 1.0, &knots.collect::<Vec<_>>());
    }
    roughen(&mut beam.field, dice);
    let field = gaussian_blur_f32(&beam.field, 0.55 + 0.5 * dice.uniform() as f32);
    enlarge(&develop(field, dice))
}

/// A head and the attenuation it has cast so far.
struct Beam {
    head: Head,
    field: Field,
}

impl Beam {
    fn add(&mut self, group: Group, shape: Shape, material: &Material, strength: f64, knots: &[At]) {
        let knots: Vec<Point> = knots.iter().map(|&at| self.head.place(group, at)).collect();
        let outline = render::curve(&knots, shape == Shape::Body);
        render::add(&mut self.field, f64::from(STEP), &outline, shape, material, strength);
    }
}

/// Front teeth lie in the middle plane; other teeth show on both sides, never exactly above each other.
fn add_teeth(beam: &mut Beam, dice: &mut Dice) {
    for &(group, tip, apex, half, outline) in anatomy::TEETH {
        let sway = dice.shift([10.0, 10.0]);
        let axis = [apex[0] + sway[0] - tip[0], apex[1] + sway[1] - tip[1]];
        let half = half * (1.0 + 0.06 * dice.normal()) / axis[0].hypot(axis[1]);
        let far = dice.shift([12.0, 6.0]);
        let sides: &[(At, f64)] =
            if outline == anatomy::CUTTER { &[([0.0; 2], 1.0)] } else { &[([0.0; 2], 0.7), (far, 0.5)] };
        for &(shift, strength) in sides {
            let origin = [tip[0] + shift[0], tip[1] + shift[1]];
            // The outline, shortened towards the tip and narrowed.
            let part = |length: f64, width: f64| -> Vec<At> {
                let knots = outline.iter().map(|[along, across]| (length * along, width * half * across));
                knots
                    .map(|(u, v)| [origin[0] + u * axis[0] - v * axis[1], origin[1] + u * axis[1] + v * axis[0]])
                    .collect()
            };
            beam.add(group, Shape::Body, &anatomy::TOOTH, strength, &part(1.0, 1.0));
            beam.add(group, Shape::Body, &anatomy::ENAMEL, strength, &part(0.38, 0.92));
            if sides.len() > 1 && dice.uniform() < 0.12 {
                beam.add(group, Shape::Body, &anatomy::FILLING, 1.0, &part(0.2, 0.6));
            }
        }
    }
}

fn add_vertebrae(beam: &mut Beam, dice: &mut Dice) {
    for (level, centre) in anatomy::VERTEBRAE.into_iter().enumerate() {
        let size = 1.0 + 0.03 * level as f64;
        for outline in [anatomy::CENTRUM, anatomy::PROCESS] {
            let motion = Motion::new([0.0; 2], 0.04 * dice.normal(), size, centre);
            let knots: Vec<At> = outline.iter().map(|&at| motion.apply(at)).collect();
            beam.add(Group::Neck, Shape::Body, &anatomy::VERTEBRA, 1.0, &knots);
        }
    }
}

fn add_cells(beam: &mut Beam, dice: &mut Dice) {
    for (middle, spread, count, [least, most]) in anatomy::CELLS {
        for _ in 0..count {
            let shift = dice.shift(spread);
            let radius = least + (most - least) * dice.uniform();
            let knots = anatomy::CELL_OUTLINE.map(|at| {
                let radius = radius * (1.0 + 0.25 * dice.normal());
                [middle[0] + shift[0] + radius * at[0], middle[1] + shift[1] + radius * at[1]]
            });
            let strength = 0.2 + 0.6 * dice.uniform();
            beam.add(Group::Skull, Shape::Body, &anatomy::CELL, strength, &knots);
        }
    }
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
