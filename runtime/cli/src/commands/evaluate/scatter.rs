//! A picture of errors: for each landmark, where it was found on each film, around where it is.

use maud::html;
use onemark_evaluation::bias::Bias;
use onemark_evaluation::report::FilmErrors;

/// Panels in a row.
const COLUMNS: usize = 5;
/// The side of a panel in px.
const SIDE: f64 = 170.0;
/// Px for a landmark's name above its panel, and between panels.
const TITLE: f64 = 34.0;
const GAP: f64 = 12.0;
/// Px for what is said about all panels.
const LEGEND: f64 = 26.0;
/// From the true position to a panel's edge, in mm. Points farther away are drawn at this distance.
const REACH_MM: f64 = 6.0;
/// The radius of the usual success detection rate, mm.
const RADIUS_MM: f64 = 2.0;

/// As SVG: a circle of 2 mm around the true position, a dot for each film, and a cross at their median.
pub fn svg<D>(films: &[FilmErrors<D>], biases: &[Bias]) -> String {
    let rows = biases.len().div_ceil(COLUMNS);
    let width = COLUMNS as f64 * (SIDE + GAP) + GAP;
    let height = LEGEND + rows as f64 * (SIDE + TITLE + GAP) + GAP;
    let px = |[right, down]: [f64; 2]| {
        let shown = (REACH_MM / right.hypot(down)).min(1.0) / REACH_MM;
        [right, down].map(|mm| SIDE / 2.0 * (1.0 + mm * shown))
    };
    let panel = |(index, bias): (usize, &Bias)| {
        let (x, y) = ((index % COLUMNS) as f64 * (SIDE + GAP) + GAP, (index / COLUMNS) as f64 * (SIDE + TITLE + GAP));
        let offsets = films.iter().filter_map(|film| *film.film_offsets_mm.get(index)?).map(px);
        let [right, down] = px(bias.median_mm);
        html! {
            g transform=(format!("translate({x} {})", y + LEGEND + TITLE)) {
                text y="-20" { (index + 1) " " (bias.name) }
                @if bias.points > 0 {
                    text.small y="-5" { (format!("{:.2} mm, without bias {:.2}", bias.mre_mm, bias.rest_mm)) }
                }
                rect width=(SIDE) height=(SIDE) {}
                circle.truth cx=(SIDE / 2.0) cy=(SIDE / 2.0) r=(SIDE / 2.0 * RADIUS_MM / REACH_MM) {}
                @for [right, down] in offsets {
                    circle.found cx=(format!("{right:.1}")) cy=(format!("{down:.1}")) r="2" {}
                }
                @if bias.points > 0 {
                    path d=(format!("M{:.1} {down:.1}h14M{right:.1} {:.1}v14", right - 7.0, down - 7.0)) {}
                }
            }
        }
    };
    let drawn = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) {
            style {
                "text { font: 13px sans-serif; fill: #222 } .small { font-size: 11px; fill: #555 } "
                "rect { fill: none; stroke: #bbb } .truth { fill: #eef3f7; stroke: #0072b2 } "
                ".found { fill: #222; fill-opacity: 0.35 } path { stroke: #d55e00; stroke-width: 2.5 }"
            }
            rect width="100%" height="100%" style="fill: white; stroke: none" {}
            text x=(GAP) y="18" {
                "Where each landmark was found, a dot a film, around its true position: circle 2 mm, edge " (REACH_MM)
                " mm or more, cross the median."
            }
            @for bias in biases.iter().enumerate() { (panel(bias)) }
        }
    };
    drawn.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_a_dot_and_names_are_text() {
        let film = |offsets: [Option<[f64; 2]>; 2]| FilmErrors {
            id: "151".into(),
            seconds: 0.0,
            detections: (),
            truth: Vec::new(),
            truth_cells: Vec::new(),
            grid_errors_mm: Vec::new(),
            film_errors_mm: Vec::new(),
            film_offsets_mm: offsets.into(),
        };
        let films = [film([Some([0.0, 0.0]), None]), film([Some([0.0, -90.0]), None])];
        let biases = [Bias::of("<b>&", [[0.0, 0.0], [0.0, -90.0]]), Bias::of("nowhere", [])];
        let drawn = svg(&films, &biases);
        assert_eq!((drawn.matches(r#"class="found""#).count(), drawn.matches("<path").count()), (2, 1), "{drawn}");
        // In the middle, and at the edge straight above.
        assert!(drawn.contains(r#"cx="85.0" cy="85.0""#) && drawn.contains(r#"cx="85.0" cy="0.0""#), "{drawn}");
        assert!(drawn.contains("1 &lt;b&gt;&amp;") && !drawn.contains("<b>"), "{drawn}");
    }
}
