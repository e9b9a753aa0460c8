//! What to know before any point is believed, in sentences.

use onemark_runtime::{Detection, Detections, Status};

use crate::FilmResults;

/// Beyond so many standard deviations from where the other landmarks expect it, somebody should look at a landmark.
const SURPRISING: f64 = 3.0;

impl FilmResults<'_> {
    /// What must be known before any of the points is believed, in sentences, the gravest first.
    pub fn cautions(&self) -> Vec<String> {
        let Detections { unusual, landmarks, spacing, calibration, .. } = self.detections;
        let mut cautions = Vec::new();
        if *unusual == Some(true) {
            cautions.push("The film looks unlike those that the bundle was calibrated on: check every point.".into());
        }
        let lost: Vec<_> =
            landmarks.iter().filter(|one| one.status == Status::NotFound).map(|one| &*one.title).collect();
        if !lost.is_empty() {
            cautions.push(format!("Not found: {}.", lost.join(", ")));
        }
        for landmark in landmarks.iter().filter(|one| one.status == Status::Found) {
            if let Some(surprise) = landmark.surprise.filter(|surprise| *surprise > SURPRISING) {
                let title = &landmark.title;
                cautions.push(format!(
                    "{title} is not where the other landmarks expect it ({surprise:.1} standard deviations)."
                ));
            }
        }
        if calibration.is_none() {
            cautions.push("The bundle is not calibrated: nobody knows how probable its points are.".into());
        }
        if spacing.is_none() {
            cautions.push("Nobody stated how large the film's pixels are: there are no mm.".into());
        }
        cautions.extend(self.film.warnings().iter().map(ToString::to_string));
        cautions
    }
}

/// What there is to say about its position in a few words: "confidence 93 %, within 1.9 mm on 90 % of films".
pub fn remark(landmark: &Detection) -> String {
    match landmark.status {
        Status::NotFound => "not found".into(),
        Status::EditedByHand => "edited by hand".into(),
        Status::Found => {
            let confidence = landmark.confidence.map(|confidence| format!("confidence {}", percent(confidence)));
            let radius = landmark.radius_mm.map(|radius| format!("within {radius:.1} mm on 90 % of films"));
            confidence.into_iter().chain(radius).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A share as people read it.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
