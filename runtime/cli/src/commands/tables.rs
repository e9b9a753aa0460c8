//! Errors and measurements as people read them.

use onemark_evaluation::metrics::{Bootstrap, Evaluation, SDR_RADII_MM};
use onemark_models::landmarks::{Analysis, Measurement};

use crate::console;

/// Resamples behind each interval, and their seed: the same errors always give the same intervals.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 1;

/// How sure one can be of the errors' summary.
pub fn bootstrap(evaluation: &Evaluation) -> Bootstrap {
    evaluation.bootstrap(RESAMPLES, SEED)
}

/// A line per landmark, then the means with their intervals.
pub fn errors(evaluation: &Evaluation, bootstrap: &Bootstrap) -> String {
    let overall = evaluation.overall();
    let mre = bootstrap.mre_mm;
    let rates = SDR_RADII_MM.iter().zip(overall.sdr_percent).zip(&bootstrap.sdr_percent);
    let rates = rates.map(|((radius, percent), interval)| {
        format!("; SDR {radius} mm {percent:.1} % ({:.1} to {:.1})", interval.low, interval.high)
    });
    format!(
        "{evaluation}MRE {:.2} mm ({:.2} to {:.2}){}\n\
         in brackets 95 % intervals, by drawing films {} times\n",
        overall.mre_mm,
        mre.low,
        mre.high,
        rates.collect::<String>(),
        bootstrap.resamples,
    )
}

/// A line per measurement that has a value, after an empty one; then which have none, by reason, and what all take for granted.
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
        let Measurement { name, title, source, class, norm, .. } = measurement;
        // Whose class it is matters: others draw the borders elsewhere.
        let class = class.as_ref().map_or(String::new(), |class| format!("{class}, {source}"));
        let norm = norm.as_ref().map_or(String::new(), ToString::to_string);
        rows.push(vec![name.clone(), title.clone(), measurement.text(), class, norm]);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        rows.insert(0, ["measurement", "", "value", "class", "norm"].map(str::to_owned).to_vec());
        text = format!("\n{}", console::table(&rows, &[0, 1, 2, 3, 4]));
    }
    for (reason, names) in refused {
        text += &format!("not measured, {reason}: {}\n", names.join(", "));
    }
    if let Some(note) = measurements.iter().find_map(|measurement| measurement.note.as_ref()) {
        text += &format!("{note}\n");
    }
    text
}

/// A line per measurement that a set defines, after an empty one; nothing where it defines none.
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
