//! The report: one HTML page about one film, for reading, printing and mailing. It loads nothing from elsewhere. On paper, the film
//! with what belongs to it is on the first sheet, and the numbers on the second.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use image::imageops::{self, FilterType};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_film::visible::visible_lines;

use crate::cautions::{percent, remark, status};
use crate::film_results::INTENDED_USE;
use crate::{FilmResults, PROGRAM, ResultsError, png};
use onemark_runtime::{Detection, Status};

/// Largest height of the film on the page, px: enough to see whether a point is at the right place.
const HEIGHT: u32 = 1200;

/// Radius of a point and height of its number, as shares of the film's longer side.
const DOT: f64 = 0.004;
const LETTERS: f64 = 0.018;

const STYLE: &str = include_str!("report.css");

/// Writes the page as UTF-8 HTML.
///
/// ```
/// # use onemark_film::Film;
/// # use onemark_results::{FilmResults, html, json::{Document, FilmReport}};
/// # let document = Document::read(&std::fs::read_to_string("tests/films.json")?)?;
/// # let [FilmReport::Done { file, detections, .. }, ..] = document.films.as_slice() else { return Err("no film".into()) };
/// # let film = Film::open("tests/film.png")?;
/// let results = FilmResults { detections, film: &film, name: file, time: chrono::Local::now() };
/// let page = String::from_utf8(html::write(&results)?)?;
/// assert!(page.contains("Before you rely on this"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResultsError::Write`] if the film can't be encoded.
pub fn write(results: &FilmResults<'_>) -> Result<Vec<u8>, ResultsError> {
    let film = film(results.film).map_err(|error| results.error("report", error))?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Landmarks of " (file_name(results)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    div.sheet.film {
                        header {
                            h1 { "Landmarks of " (file_name(results)) }
                            p { strong { (INTENDED_USE) } " Found by " (PROGRAM) ", " (date(results)) "." }
                        }
                        (cautions(results))
                        (figure(results, &film))
                        (origin(results))
                    }
                    div.sheet {
                        (measurements(results))
                        (table(results))
                    }
                }
            }
        }
    };
    Ok(visible_lines(&page.into_string()).into_owned().into_bytes())
}

/// The file's name without its folders, because the page is sent to people who need not know them.
fn file_name<'a>(results: &FilmResults<'a>) -> &'a str {
    results.name.rsplit(['/', '\\']).next().unwrap_or(results.name)
}

fn date(results: &FilmResults<'_>) -> String {
    results.time.format("%Y-%m-%d %H:%M").to_string()
}

/// The film as a `data:` URL.
fn film(film: &Film) -> Result<String, image::ImageError> {
    let height = film.height().min(HEIGHT);
    let width = (u64::from(film.width()) * u64::from(height) / u64::from(film.height())).max(1) as u32;
    let small = imageops::resize(&png::grey(film), width, height, FilterType::Triangle);
    Ok(format!("data:image/png;base64,{}", BASE64.encode(png::encode(small)?)))
}

/// The cautions, before everything else on the page.
fn cautions(results: &FilmResults<'_>) -> Markup {
    let cautions = results.cautions();
    html! {
        @if !cautions.is_empty() {
            section.cautions {
                h2 { "Before you rely on this" }
                ul { @for caution in &cautions { li { (caution) } } }
            }
        }
    }
}

/// The lines from which something is measured, as one path: where two lie on one another, they are not darker.
fn planes(results: &FilmResults<'_>) -> String {
    results.planes().into_iter().map(|[a, b]| format!("M{} {}L{} {}", a.x, a.y, b.x, b.y)).collect()
}

/// The film with its planes and numbered points; circles where a radius is known. What was not found is nowhere.
fn figure(results: &FilmResults<'_>, film: &str) -> Markup {
    let shown = || results.detections.landmarks().iter().filter_map(Detection::unless_guess);
    let (width, height) = (results.film.width(), results.film.height());
    let side = f64::from(width.max(height));
    let radius = |landmark: &Detection| {
        let spacing = results.detections.spacing()?;
        let reach = landmark.radius_mm().filter(|_| landmark.status() == Status::Found);
        reach.map(|mm| (mm / spacing.x(), mm / spacing.y()))
    };
    html! {
        figure {
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label="The film with its landmarks" {
                image href=(film) width=(width) height=(height) preserveAspectRatio="none" {}
                path.planes d=(planes(results)) stroke-width=(px(side * DOT / 3.0)) {}
                @for landmark in shown() {
                    @let Point { x, y } = landmark.position();
                    g class=(class(landmark)) stroke-width=(format!("{:.2}", side * DOT / 3.0)) {
                        title { (landmark.number()) " " (landmark.title()) " " (remark(landmark)) }
                        @if let Some((rx, ry)) = radius(landmark) {
                            ellipse.radius cx=(px(x)) cy=(px(y)) rx=(px(rx)) ry=(px(ry)) {}
                        }
                        circle cx=(px(x)) cy=(px(y)) r=(px(side * DOT)) {}
                        text x=(px(x + 2.0 * side * DOT)) y=(px(y - side * DOT)) font-size=(px(side * LETTERS)) {
                            (landmark.number())
                        }
                    }
                }
            }
            figcaption {
                "Red: found. Blue: placed by hand. Landmarks that were not found are not drawn. Green lines: the planes of measurements."
                @if shown().any(|landmark| radius(landmark).is_some()) {
                    " The landmark lies within the circle on 90 % of films."
                }
            }
        }
    }
}

fn px(number: f64) -> String {
    format!("{number:.2}")
}

fn class(landmark: &Detection) -> &'static str {
    match landmark.status() {
        Status::Found => "found",
        Status::NotFound => "not-found",
        Status::EditedByHand => "by-hand",
    }
}

/// The measurements that have a value, then the names of those that have none.
fn measurements(results: &FilmResults<'_>) -> Markup {
    let (measured, refused): (Vec<_>, Vec<_>) =
        results.detections.measurements().iter().partition(|measurement| measurement.value.is_some());
    let names: Vec<&str> = refused.iter().map(|measurement| measurement.name.as_str()).collect();
    html! {
        @if !results.detections.measurements().is_empty() {
            section {
                h2 { "Measurements" }
                table.measurements {
                    thead { tr { th scope="col" { "Measurement" } th scope="col" { "Value" } th scope="col" { "Class, norm" } } }
                    tbody {
                        @for one in measured {
                            tr {
                                th scope="row" { (one.name) ": " (one.title) }
                                td { (one.text()) }
                                td { (one.judgement()) }
                            }
                        }
                    }
                }
                @if !names.is_empty() { p { "Not measured: " (names.join(", ")) "." } }
            }
        }
    }
}

fn table(results: &FilmResults<'_>) -> Markup {
    let landmarks = results.detections.landmarks();
    let any = |known: fn(&Detection) -> bool| landmarks.iter().any(known);
    let mm = any(|one| one.mm().is_some());
    let confidence = any(|one| one.confidence().is_some());
    let radius = any(|one| one.radius_mm().is_some());
    html! {
        section {
            h2 { "Landmarks" }
            table {
                thead {
                    tr {
                        th scope="col" { "#" }
                        th scope="col" { "Landmark" }
                        th scope="col" { "x px" }
                        th scope="col" { "y px" }
                        @if mm { th scope="col" { "x mm" } th scope="col" { "y mm" } }
                        @if confidence { th scope="col" { "Confidence" } }
                        @if radius { th scope="col" { "90 % within mm" } }
                        th scope="col" { "Score" }
                        th scope="col" { "Status" }
                    }
                }
                tbody {
                    @for landmark in landmarks {
                        @let here = landmark.unless_guess();
                        @let place = here.map(Detection::position);
                        @let millimetres = here.and_then(Detection::mm);
                        tr class=(class(landmark)) {
                            td { (landmark.number()) }
                            th scope="row" { (landmark.title()) }
                            td { (cell(place.map(|place| format!("{:.1}", place.x)))) }
                            td { (cell(place.map(|place| format!("{:.1}", place.y)))) }
                            @if mm {
                                td { (cell(millimetres.map(|place| format!("{:.2}", place.x)))) }
                                td { (cell(millimetres.map(|place| format!("{:.2}", place.y)))) }
                            }
                            @if confidence { td { (cell(here.and_then(Detection::confidence).map(percent))) } }
                            @if radius { td { (cell(here.and_then(Detection::radius_mm).map(|mm| format!("{mm:.1}")))) } }
                            td { (format!("{:.3}", landmark.score())) }
                            td { (status(landmark)) }
                        }
                    }
                }
            }
            p { "x to the right and y down, from the film's top-left corner. The score ranks points; it is not a probability." }
        }
    }
}

/// An unknown value is a dash; an empty cell could be taken for a printing error.
fn cell(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".into())
}

/// The origin of the results: film, bundle, program, date.
fn origin(results: &FilmResults<'_>) -> Markup {
    let found = results.detections;
    html! {
        section {
            h2 { "Origin" }
            dl {
                dt { "Film" }
                dd { (file_name(results)) ", " (found.film().width) " × " (found.film().height) " px" }
                dt { "Pixel spacing" }
                dd {
                    @match found.spacing() {
                        Some(spacing) => (spacing),
                        None => "not stated",
                    }
                }
                dt { "Bundle" }
                dd { (found.bundle().name) }
                dt { "SHA-256 of the bundle" }
                dd.digest { (found.bundle().sha256) }
                dt { "Calibration" }
                dd { (found.calibration().unwrap_or("none")) }
                dt { "Run by" }
                dd { (PROGRAM) ", " (found.backend()) }
                dt { "Date" }
                dd { (date(results)) }
            }
        }
    }
}
