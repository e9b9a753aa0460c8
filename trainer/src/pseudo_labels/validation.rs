//! What is known of the network's errors while it trains: they are measured where the truth is annotated.

use onemark_film::geometry::GridPoint;

use super::Scene;
use super::vectors::mean;
use crate::TrainError;
use crate::data::templates::Template;
use crate::report::observer::{Judged, Validation};

impl Scene<'_> {
    /// The mean distance between the landmarks found and their true places: on held-out copies of a single template; on each of a
    /// few templates, by the vectors of the others; on the annotated films that only judge.
    ///
    /// # Errors
    /// Torch fails.
    pub fn validate(&self) -> Result<Validation, TrainError> {
        let samples = &self.films.samples;
        let mut errors = Vec::new();
        let mut judge = |sample: usize, template: &Template, found: &[GridPoint], by: &[bool]| {
            for ((truth, found), by) in template.points.iter().zip(found).zip(by) {
                if let (Some(truth), true) = (truth, by) {
                    errors.push(template.distance(samples.from_film(sample, *truth), *found));
                }
            }
        };
        let (templates, all) = (samples.templates(), vec![true; self.heads.landmarks()]);
        let judged = if let [template] = templates {
            let copies: Vec<usize> = samples.held_out().collect();
            let found = self.best_cells(&copies, &self.vectors, |_, _| Ok(()), |_, _| ())?;
            copies.iter().zip(&found).for_each(|(copy, found)| judge(*copy, template, found, &all));
            Judged::Copies(copies.len())
        } else if samples.judges().is_empty() {
            let sums = self.vectors_by_template()?;
            for (index, template) in templates.iter().enumerate() {
                let others = |other: usize| (other != index).then_some(&sums[other]);
                let vectors = mean(&(0..sums.len()).filter_map(others).collect::<Vec<_>>())?;
                let found = self.best_cells(&[template.film], &vectors, |_, _| Ok(()), |_, _| ())?;
                let of_others = (templates.iter()).filter(|other| other.film != template.film);
                let known = |landmark: usize| of_others.clone().any(|other| other.points[landmark].is_some());
                let by: Vec<bool> = (0..all.len()).map(known).collect();
                judge(template.film, template, &found[0], &by);
            }
            Judged::EachOther(templates.len())
        } else {
            let films: Vec<usize> = samples.judges().iter().map(|judge| judge.film).collect();
            let found = self.best_cells(&films, &self.vectors, |_, _| Ok(()), |_, _| ())?;
            samples.judges().iter().zip(&found).for_each(|(film, found)| judge(film.film, film, found, &all));
            Judged::Films(films.len())
        };
        // Without an error, the mean is NaN.
        let count = errors.len() as f64;
        let cells = errors.iter().map(|(cells, _)| cells).sum::<f64>() / count;
        let mm = errors.iter().map(|(_, mm)| *mm).sum::<Option<f64>>().map(|sum| sum / count);
        Ok(Validation { judged, cells, mm })
    }
}
