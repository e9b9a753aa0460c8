//! Errors as people read them.

use onemark_models::metrics::{Bootstrap, Evaluation, SDR_RADII_MM};

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
