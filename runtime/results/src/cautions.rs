//! Cautions: what a person should know before relying on the points.

use onemark_runtime::{Detection, Status};

use crate::FilmResults;

/// A person should check a landmark that is more standard deviations than this from its position predicted by the others.
const FAR: f64 = 3.0;

impl FilmResults<'_> {
    /// What a person should know before relying on the points: one sentence each, the most serious first.
    pub fn cautions(&self) -> Vec<String> {
        let found = self.detections;
        let mut cautions = Vec::new();
        if let Some(why) = found.refusal() {
            cautions.push(format!("No landmark of this film counts as found: {why}."));
        } else if found.out_of_distribution() == Some(true) {
            cautions.push("The film is out of distribution (unlike the calibration films): check every point.".into());
        }
        let with = |status: Status| found.landmarks().iter().filter(move |landmark| landmark.status() == status);
        let lost: Vec<_> = with(Status::NotFound).map(Detection::title).collect();
        if !lost.is_empty() && found.refusal().is_none() {
            cautions.push(format!("Not found: {}.", lost.join(", ")));
        }
        for landmark in with(Status::Found) {
            if let Some(deviations) = landmark.mahalanobis().filter(|deviations| *deviations > FAR) {
                let title = landmark.title();
                cautions.push(format!(
                    "{title} is {deviations:.1} standard deviations from the position that the other landmarks predict."
                ));
            }
        }
        if found.calibration().is_none() {
            cautions
                .push("The bundle is not calibrated: its points have no confidence, its measurements no error.".into());
        }
        if found.spacing().is_none() {
            cautions.push("No pixel spacing is stated, so there are no millimetres.".into());
        }
        // A film that shows nothing is refused for just that.
        let warnings = self.film.warnings().iter().filter(|warning| !warning.shows_nothing());
        cautions.extend(warnings.map(ToString::to_string));
        cautions
    }
}

/// A landmark's position described in a few words: "confidence 93 %, within 1.9 mm on 90 % of films".
pub fn remark(landmark: &Detection) -> String {
    match landmark.status() {
        Status::NotFound | Status::EditedByHand => status(landmark).into(),
        Status::Found => {
            let confidence = landmark.confidence().map(|confidence| format!("confidence {}", percent(confidence)));
            let radius = landmark.radius_mm().map(|radius| format!("within {radius:.1} mm on 90 % of films"));
            confidence.into_iter().chain(radius).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A landmark's status in words.
pub fn status(landmark: &Detection) -> &'static str {
    match landmark.status() {
        Status::Found => "found",
        Status::NotFound => "not found",
        Status::EditedByHand => "edited by hand",
    }
}

/// A share (0 to 1) as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
