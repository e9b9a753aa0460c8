//! Errors and measurements as text tables.

use onemark_evaluation::bias::Bias;
use onemark_evaluation::metrics::{Bootstrap, Evaluation, SDR_RADII_MM, Score};
use onemark_film::visible::visible;
use onemark_models::landmarks::{Analysis, Measurement};

use crate::console;

/// Number of resamples for each interval, and their seed: the same errors always give the same intervals.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 1;

/// The confidence intervals of the errors' summary.
pub fn bootstrap(evaluation: &Evaluation) -> Bootstrap {
    evaluation.bootstrap(RESAMPLES, SEED)
}

/// One line per landmark, then the means with their intervals.
pub fn errors(evaluation: &Evaluation, bootstrap: &Bootstrap) -> String {
    let overall = evaluation.overall();
    let mre = bootstrap.mre_mm;
    let rates = SDR_RADII_MM.iter().zip(overall.sdr_percent).zip(&bootstrap.sdr_percent);
    let rates = rates.map(|((radius, percent), interval)| {
        format!("; SDR {radius} mm {percent:.1} % ({:.1} to {:.1})", interval.low, interval.high)
    });
    format!(
        "{}MRE {:.2} mm ({:.2} to {:.2}){}\n\
         in brackets 95 % intervals, by drawing films {} times\n",
        scores(evaluation),
        overall.mre_mm,
        mre.low,
        mre.high,
        rates.collect::<String>(),
        bootstrap.resamples,
    )
}

/// One line per landmark, and one for all landmarks. If landmarks are missing on films, their numbers of films are in a column.
fn scores(evaluation: &Evaluation) -> String {
    let gaps = evaluation.errors().iter().any(Option::is_none);
    let mut header: Vec<String> = ["#", "landmark", "MRE mm", "median mm"].map(str::to_owned).into();
    header.extend(SDR_RADII_MM.map(|radius| format!("SDR {radius} mm %")));
    header.extend(gaps.then(|| "annotated".to_owned()));
    let row = |number: String, score: Score| {
        let there = |number: f64, text: String| if number.is_nan() { "-".to_owned() } else { text };
        let millimetres = [score.mre_mm, score.median_mm].map(|mm| there(mm, format!("{mm:.2}")));
        let rates = score.sdr_percent.map(|percent| there(percent, format!("{percent:.1}")));
        let annotated = gaps.then(|| score.points.to_string());
        [number, score.name].into_iter().chain(millimetres).chain(rates).chain(annotated).collect()
    };
    let landmarks = (1..).zip(evaluation.per_landmark());
    let mut rows = vec![header];
    rows.extend(landmarks.map(|(number, score): (usize, _)| row(number.to_string(), score)));
    rows.push(row(String::new(), evaluation.overall()));
    console::table(&rows, &[1])
}

/// One line per landmark: where its found positions lie on most films, and the error without that; then the mean of all errors.
pub fn biases(biases: &[Bias]) -> String {
    let there = |mm: f64, text: String| if mm.is_nan() { "-".to_owned() } else { text };
    let signed = |mm: f64| there(mm, format!("{mm:+.2}"));
    let plain = |mm: f64| there(mm, format!("{mm:.2}"));
    let header = ["#", "landmark", "bias right mm", "down mm", "SD right mm", "down mm", "MRE mm", "without bias"];
    let row = |(number, bias): (usize, &Bias)| {
        let ([right, down], [sd_right, sd_down]) = (bias.median_mm, bias.sd_mm);
        let numbers =
            [signed(right), signed(down), plain(sd_right), plain(sd_down), plain(bias.mre_mm), plain(bias.rest_mm)];
        [number.to_string(), bias.name.clone()].into_iter().chain(numbers).collect()
    };
    let points: usize = biases.iter().map(|bias| bias.points).sum();
    let mean = |mm: fn(&Bias) -> f64| {
        let annotated = biases.iter().filter(|bias| bias.points > 0);
        plain(annotated.map(|bias| mm(bias) * bias.points as f64).sum::<f64>() / points as f64)
    };
    let all = ["", "mean", "", "", "", "", &mean(|bias| bias.mre_mm), &mean(|bias| bias.rest_mm)].map(str::to_owned);
    let rows =
        std::iter::once(header.map(str::to_owned).to_vec()).chain((1..).zip(biases).map(row)).chain([all.to_vec()]);
    console::table(&rows.collect::<Vec<_>>(), &[1])
}

/// An empty line, one line per measurement with a value, the measurements without a value by reason, and notes for all.
pub fn measured(measurements: &[Measurement]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut refused: Vec<(&str, Vec<&str>)> = Vec::new();
    for measurement in measurements {
        if let Some(reason) = &measurement.refused {
            match refused.iter_mut().find(|(other, _)| other == reason) {
                Some((_, names)) => names.push(&measurement.name),
                None => refused.push((reason, vec![&measurement.name])),
            }
            continue;
        }
        let Measurement { name, title, norm, .. } = measurement;
        let class = measurement.class_text().unwrap_or_default();
        let norm = norm.as_ref().map_or(String::new(), ToString::to_string);
        rows.push(vec![name.clone(), title.clone(), measurement.text(), class, norm]);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        rows.insert(0, ["measurement", "", "value", "class", "norm"].map(str::to_owned).to_vec());
        text = format!("\n{}", console::table(&rows, &[0, 1, 2, 3, 4]));
    }
    for (reason, names) in refused {
        text += &format!("not measured, {}: {}\n", visible(reason), visible(&names.join(", ")));
    }
    if let Some(note) = measurements.iter().find_map(|measurement| measurement.note.as_ref()) {
        text += &format!("{}\n", visible(note));
    }
    text
}

/// An empty line, then one line per measurement that a set defines; nothing if it defines none.
pub fn defined(analysis: &Analysis) -> String {
    if analysis.is_empty() {
        return String::new();
    }
    let mut rows = vec![["measurement", "", "unit", "source", "norm"].map(str::to_owned).to_vec()];
    rows.extend(analysis.measurements.iter().zip(analysis.units()).map(|(definition, unit)| {
        let norm = definition.norm.as_ref().map_or(String::new(), ToString::to_string);
        let unit = unit.to_string().trim().to_owned();
        vec![definition.name.clone(), definition.title.clone(), unit, definition.source.clone(), norm]
    }));
    format!("\n{}", console::table(&rows, &[0, 1, 2, 3, 4]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::array;

    use super::*;

    #[test]
    fn a_bias_has_a_sign() {
        let found = biases(&[Bias::of("nasion", [[0.5, -1.0], [0.5, -2.0]]), Bias::of("sella", [])]);
        let expected = "#  landmark  bias right mm  down mm  SD right mm  down mm  MRE mm  without bias\n\
                        1  nasion            +0.50    -1.50         0.00     0.71    1.59          0.50\n\
                        2  sella                 -        -            -        -       -             -\n   \
                           mean                                                      1.59          0.50\n";
        assert_eq!(found, expected);
    }

    #[test]
    fn scores_have_a_row_per_landmark_and_the_mean() {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let errors = array![[1.0, 2.25], [2.0, 3.25]];
        let evaluation = Evaluation::new(names(["l1", "l2"]), names(["f1", "f2"]), errors).unwrap();
        let expected = "#  landmark  MRE mm  median mm  SDR 2 mm %  SDR 2.5 mm %  SDR 3 mm %  SDR 4 mm %\n\
                        1  l1          1.50       1.50        50.0         100.0       100.0       100.0\n\
                        2  l2          2.75       2.75         0.0          50.0        50.0       100.0\n   \
                           mean        2.12       2.12        25.0          75.0        75.0       100.0\n";
        assert_eq!(scores(&evaluation), expected);
        let gaps = array![[Some(1.0), None], [Some(2.0), None]];
        let evaluation = Evaluation::with_gaps(names(["l1", "l2"]), names(["f1", "f2"]), gaps).unwrap();
        let lines: Vec<String> = scores(&evaluation).lines().map(str::to_owned).collect();
        assert!(
            lines[0].ends_with("annotated") && lines[1].ends_with("2") && lines[2].ends_with("-          0"),
            "{lines:?}"
        );
    }
}
