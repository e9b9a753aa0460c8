//! What to know before any point is believed, in sentences.

use onemark_runtime::{Detection, Status};

use crate::FilmResults;

/// Beyond so many standard deviations from where the other landmarks expect it, somebody should look at a landmark.
const FAR: f64 = 3.0;

impl FilmResults<'_> {
    /// What must be known before any of the points is believed, in sentences, the gravest first.
    pub fn cautions(&self) -> Vec<String> {
        let found = self.detections;
        let mut cautions = Vec::new();
        if found.out_of_distribution() == Some(true) {
            cautions.push("The film looks unlike those that the bundle was calibrated on: check every point.".into());
        }
        let with = |status: Status| found.landmarks().iter().filter(move |landmark| landmark.status() == status);
        let lost: Vec<_> = with(Status::NotFound).map(Detection::title).collect();
        if !lost.is_empty() {
            cautions.push(format!("Not found: {}.", lost.join(", ")));
        }
        for landmark in with(Status::Found) {
            if let Some(deviations) = landmark.mahalanobis().filter(|deviations| *deviations > FAR) {
                let title = landmark.title();
                cautions.push(format!(
                    "{title} is not where the other landmarks expect it ({deviations:.1} standard deviations)."
                ));
            }
        }
        if found.calibration().is_none() {
            cautions.push("The bundle is not calibrated: nobody knows how probable its points are.".into());
        }
        if found.spacing().is_none() {
            cautions.push("Nobody stated how large the film's pixels are: there are no mm.".into());
        }
        cautions.extend(self.film.warnings().iter().map(ToString::to_string));
        cautions
    }
}

/// What there is to say about its position in a few words: "confidence 93 %, within 1.9 mm on 90 % of films".
pub fn remark(landmark: &Detection) -> String {
    match landmark.status() {
        Status::NotFound => "not found".into(),
        Status::EditedByHand => "edited by hand".into(),
        Status::Found => {
            let confidence = landmark.confidence().map(|confidence| format!("confidence {}", percent(confidence)));
            let radius = landmark.radius_mm().map(|radius| format!("within {radius:.1} mm on 90 % of films"));
            confidence.into_iter().chain(radius).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
