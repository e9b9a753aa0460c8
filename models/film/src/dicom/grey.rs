//! Converts stored DICOM pixels to the grey that a viewer would show: padding, modality transform, window or lookup table, polarity
//! (PS3.3, C.7.5.1.1.2, C.11.1 and C.11.2).
//!
//! Pixels have at most 16 bits, so one table holds the grey of every word.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::header::{Header, number};
use super::lut::{self, Lut};
use super::seen::Seen;
use super::text::{code, text};
use crate::{FilmWarning, GreyWindow};

/// The fewest grey levels over which a film's pixels spread under a window that was made for it. A person sees almost one grey in fewer.
const FEWEST_LEVELS: u8 = 24;

/// The largest rescale slope, and how many times the slope an intercept may be. Films are far from both; with more, or with a slope
/// below its inverse, different pixels would become equal numbers.
const MOST_RESCALED: f64 = 1e9;

/// A value is far from all others if the range of all is so many times that of the others.
const FAR: f64 = 8.0;

/// The fewest other values of a picture. Drawings have fewer.
const FEWEST_OTHERS: usize = 16;

/// The grey level of every word up to the greatest that the film's pixels have.
pub(super) fn shades(
    film: &InMemDicomObject,
    header: &Header,
    stored: &[u16],
    warnings: &mut Vec<FilmWarning>,
) -> Vec<u8> {
    let seen = Seen::of(film, header, stored);
    if seen.words().any(|word| header.has_unused_bits(word)) {
        warnings.push(FilmWarning::UnusedBits { stored: header.bits_stored });
    }
    compare_polarity(film, header, warnings);
    let values = values(film, header, warnings);
    let seen_values = &values[..=usize::from(seen.greatest)];
    let levels = |share: &dyn Fn(f64) -> f64| -> Vec<u8> {
        seen_values.iter().map(|value| (share(*value).clamp(0.0, 1.0) * 255.0).round() as u8).collect()
    };
    let (range, far) = range(seen.words().map(|word| values[usize::from(word)]).collect());
    let all = levels(&|value| (value - range[0]) / (range[1] - range[0]));
    let stated = stated(film, &values, warnings).map(|(share, warning)| (levels(&*share), warning));
    let levels = match stated {
        Some((stated, _)) if seen.spread(&stated) >= FEWEST_LEVELS.min(seen.spread(&all)) => stated,
        // A person would see nothing either, and would change the window.
        stated => {
            warnings.extend(stated.map(|(_, warning)| warning));
            warnings.extend(far.map(|value| FilmWarning::FarValue { value, others: range }));
            all
        }
    };
    let shade = |(level, word): (u8, u16)| match level {
        _ if seen.is_padding(word) => 0,
        level if header.is_inverted() => 255 - level,
        level => level,
    };
    levels.into_iter().zip(0..=u16::MAX).map(shade).collect()
}

/// The value of every possible word after the modality transform.
fn values(film: &InMemDicomObject, header: &Header, warnings: &mut Vec<FilmWarning>) -> Vec<f64> {
    let stored = (0..=u16::MAX).map(|word| f64::from(header.value(word)));
    if let Some(lut) = Lut::read(film, lut::MODALITY, header.signed, warnings) {
        return stored.map(|value| lut.at(value)).collect();
    }
    let stated =
        |tag: Tag, otherwise: f64| if text(film, tag).is_empty() { Some(otherwise) } else { number(film, tag) };
    let rescale = stated(tags::RESCALE_SLOPE, 1.0).zip(stated(tags::RESCALE_INTERCEPT, 0.0));
    let usable = |(slope, intercept): &(f64, f64)| {
        (1.0 / MOST_RESCALED..=MOST_RESCALED).contains(&slope.abs()) && intercept.abs() <= MOST_RESCALED * slope.abs()
    };
    let Some((slope, intercept)) = rescale.filter(usable) else {
        warnings.push(FilmWarning::UnusableRescale);
        return stored.collect();
    };
    stored.map(|value| value * slope + intercept).collect()
}

/// The values that become black and white where nothing is stated: the smallest and the largest of the film's values. If one of them
/// is far from all others, as padding that is not stated and dead pixels are, it is returned too and does not count. The two are never
/// equal, so it is safe to divide by their difference.
fn range(mut values: Vec<f64>) -> ([f64; 2], Option<f64>) {
    values.sort_by(f64::total_cmp);
    let span = |values: &[f64]| values.last().zip(values.first()).map_or(0.0, |(most, least)| most - least);
    let far = match &values[..] {
        [least, others @ .., most] if others.len() >= FEWEST_OTHERS => {
            let [without_most, without_least] = [&values[..=others.len()], &values[1..]].map(span);
            let is_far = |without: f64| without * FAR < span(&values);
            is_far(without_most).then_some(*most).or_else(|| is_far(without_least).then_some(*least))
        }
        _ => None,
    };
    values.retain(|value| Some(*value) != far);
    let least = values.first().copied().unwrap_or_default();
    let most = values.last().copied().filter(|most| *most > least).unwrap_or(least + 1.0);
    ([least, most], far)
}

/// PresentationLUTShape repeats PhotometricInterpretation. If they disagree, PhotometricInterpretation is used.
fn compare_polarity(film: &InMemDicomObject, header: &Header, warnings: &mut Vec<FilmWarning>) {
    let stated = code(film, tags::PRESENTATION_LUT_SHAPE);
    let (used, expected) = if header.is_inverted() { ("MONOCHROME1", "INVERSE") } else { ("MONOCHROME2", "IDENTITY") };
    if !stated.is_empty() && stated != expected {
        warnings.push(FilmWarning::ContradictedPolarity { stated, used });
    }
}

/// The brightness of a value, from 0 to 1. The caller clamps it if it lies outside this range.
type Share = Box<dyn Fn(f64) -> f64>;

/// How the file says that values become grey: by its first lookup table, else by its first window. And the warning for the case that this
/// shows nothing.
fn stated(film: &InMemDicomObject, values: &[f64], warnings: &mut Vec<FilmWarning>) -> Option<(Share, FilmWarning)> {
    let any_below_zero = values.iter().any(|value| *value < 0.0);
    if let Some(lut) = Lut::read(film, lut::VOI, any_below_zero, warnings) {
        let top = lut.top();
        return Some((Box::new(move |value| lut.at(value) / top), FilmWarning::TableBesideData));
    }
    let (window, function) = window(film, warnings)?;
    let GreyWindow { centre, width } = window;
    Some((Box::new(move |value| function(window, value)), FilmWarning::WindowBesideData { centre, width }))
}

/// The brightness of a value in a window.
type VoiFunction = fn(GreyWindow, f64) -> f64;

/// The first of the windows with its function (PS3.3, C.11.2.1.2 and C.11.2.1.3). If it cannot be used, `None` and a warning.
fn window(film: &InMemDicomObject, warnings: &mut Vec<FilmWarning>) -> Option<(GreyWindow, VoiFunction)> {
    let [centre, width] = [tags::WINDOW_CENTER, tags::WINDOW_WIDTH];
    if [centre, width].iter().all(|tag| text(film, *tag).is_empty()) {
        return None;
    }
    let Some((centre, width)) = number(film, centre).zip(number(film, width)) else {
        warnings.push(FilmWarning::UnreadableWindow);
        return None;
    };
    let function: VoiFunction = match text(film, tags::VOILUT_FUNCTION).as_str() {
        "" | "LINEAR" if width >= 1.0 => GreyWindow::linear,
        "LINEAR_EXACT" if width > 0.0 => |window, value| (value - window.centre) / window.width + 0.5,
        "SIGMOID" if width > 0.0 => |window, value| 1.0 / (1.0 + (-4.0 * (value - window.centre) / window.width).exp()),
        _ => {
            warnings.push(FilmWarning::UnusableWindow { function: code(film, tags::VOILUT_FUNCTION), centre, width });
            return None;
        }
    };
    Some((GreyWindow { centre, width }, function))
}
