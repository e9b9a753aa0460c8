//! A DICOM Comprehensive SR by TID 1500, for the film's archive and its viewers.
//!
//! Each landmark is a measurement group (TID 1501) with one measurement (TID 300): its score, inferred from a point on the
//! image. By the tracking identifier, Cornerstone and OHIF recognise a point. Confidence and radius are properties of the
//! finding and not further measurements, because those viewers expect one point per measurement. Landmarks that were not
//! found have no point; they and all cautions are qualitative evaluations.
//!
//! The same bundle, image and landmarks give the same UIDs, so an archive recognises a repeated report.

use std::io::Cursor;

use dicom_dictionary_std::{tags, uids};
use dicom_object::mem::InMemElement;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use onemark_film::DicomIdentity;
use sha2::{Digest as _, Sha256};

use super::content::Relation::{Contains, HasConceptMod, HasObsContext, HasProperties, InferredFrom, SelectedFrom};
use super::content::{Code, Item, Relation, dcm, reference, sequence, text};
use crate::{FilmResults, PROGRAM, ResultsError, remark};
use onemark_runtime::{Detection, Status};

/// Our coding scheme: the landmarks' short names, and a few codes used below.
const SCHEME: &str = "99ONEMARK";

/// By this identifier, Cornerstone3D (and so OHIF) recognises a point when it reads a report.
const TRACKING_IDENTIFIER: &str = "Cornerstone3DTools@^0.1.0:Probe";

const NO_UNIT: [&str; 2] = ["1", "no units"];
const PERCENT: [&str; 2] = ["%", "percent"];
const MM: [&str; 2] = ["mm", "millimeter"];

const fn ours<'a>(value: &'a str, meaning: &'a str) -> Code<'a> {
    Code { scheme: SCHEME, value, meaning }
}

/// Writes the film's landmarks as a DICOM file, explicit VR little endian.
///
/// # Errors
/// [`ResultsError::NoDicom`] if the film does not identify a DICOM image.
pub fn write(results: &FilmResults<'_>) -> Result<Vec<u8>, ResultsError> {
    let image = image(results)?;
    let found = serde_json::to_string(results.detections).map_err(|error| results.error("dicom-sr", error))?;
    let sha256 = &results.detections.bundle().sha256;
    let instance = uid(&["report", sha256, &image.sop_instance_uid, &found]);
    let series = uid(&["series", sha256, &image.sop_instance_uid]);

    let mut report = InMemDicomObject::from_element_iter(patient_and_study(image));
    for element in document(results, image, &instance, &series).into_iter().chain(content(results, image)) {
        report.put(element);
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let report = report.with_meta(meta).map_err(|error| results.error("dicom-sr", error))?;
    let mut bytes = Cursor::new(Vec::new());
    report.write_all(&mut bytes).map_err(|error| results.error("dicom-sr", error))?;
    Ok(bytes.into_inner())
}

/// The image that the report refers to; the reference needs its UIDs.
fn image<'a>(results: &FilmResults<'a>) -> Result<&'a DicomIdentity, ResultsError> {
    let error = |lacks: String| ResultsError::NoDicom { film: results.name.to_owned(), lacks };
    let image = results.film.dicom().ok_or_else(|| error("is not DICOM".into()))?;
    let needed = [
        ("StudyInstanceUID", &image.study_instance_uid),
        ("SeriesInstanceUID", &image.series_instance_uid),
        ("SOPClassUID", &image.sop_class_uid),
        ("SOPInstanceUID", &image.sop_instance_uid),
    ];
    match needed.iter().find(|(_, uid)| uid.is_empty()) {
        Some((name, _)) => Err(error(format!("has no {name}"))),
        None => Ok(image),
    }
}

/// Patient and study, copied from the image.
fn patient_and_study(image: &DicomIdentity) -> Vec<InMemElement> {
    vec![
        text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
        text(tags::PATIENT_NAME, &image.patient_name),
        text(tags::PATIENT_ID, &image.patient_id),
        text(tags::PATIENT_BIRTH_DATE, &image.patient_birth_date),
        text(tags::PATIENT_SEX, &image.patient_sex),
        text(tags::STUDY_INSTANCE_UID, &image.study_instance_uid),
        text(tags::STUDY_DATE, &image.study_date),
        text(tags::STUDY_TIME, &image.study_time),
        text(tags::STUDY_ID, &image.study_id),
        text(tags::ACCESSION_NUMBER, &image.accession_number),
        text(tags::REFERRING_PHYSICIAN_NAME, &image.referring_physician_name),
    ]
}

/// The document's type, author, time and evidence.
fn document(results: &FilmResults<'_>, image: &DicomIdentity, instance: &str, series: &str) -> Vec<InMemElement> {
    // DICOM's times are local times, like the study's.
    let time = results.time;
    let evidence = vec![
        text(tags::STUDY_INSTANCE_UID, &image.study_instance_uid),
        sequence(
            tags::REFERENCED_SERIES_SEQUENCE,
            vec![vec![
                text(tags::SERIES_INSTANCE_UID, &image.series_instance_uid),
                sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference(&image.sop_class_uid, &image.sop_instance_uid)]),
            ]],
        ),
    ];
    let scheme = vec![
        text(tags::CODING_SCHEME_DESIGNATOR, SCHEME),
        text(tags::CODING_SCHEME_NAME, "Onemark landmarks"),
        text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, "Onemark"),
    ];
    vec![
        text(tags::SOP_CLASS_UID, uids::COMPREHENSIVE_SR_STORAGE),
        text(tags::SOP_INSTANCE_UID, instance),
        text(tags::MODALITY, "SR"),
        text(tags::SERIES_INSTANCE_UID, series),
        text(tags::SERIES_NUMBER, "1"),
        text(tags::SERIES_DESCRIPTION, "Onemark landmarks"),
        text(tags::INSTANCE_NUMBER, "1"),
        text(tags::MANUFACTURER, "Onemark"),
        text(tags::MANUFACTURER_MODEL_NAME, "Onemark"),
        text(tags::SOFTWARE_VERSIONS, PROGRAM),
        text(tags::CONTENT_DATE, &time.format("%Y%m%d").to_string()),
        text(tags::CONTENT_TIME, &time.format("%H%M%S").to_string()),
        text(tags::COMPLETION_FLAG, "COMPLETE"),
        text(tags::VERIFICATION_FLAG, "UNVERIFIED"),
        sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, vec![]),
        sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, vec![]),
        sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, vec![evidence]),
        sequence(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, vec![scheme]),
    ]
}

/// The tree of TID 1500.
fn content(results: &FilmResults<'_>, image: &DicomIdentity) -> Vec<InMemElement> {
    let (bundle, landmarks) = (results.detections.bundle(), results.detections.landmarks());
    let [found, lost]: [Vec<&Detection>; 2] =
        [false, true].map(|lost| landmarks.iter().filter(|one| one.unless_guess().is_none() == lost).collect());

    let source = Item::image(&image.sop_class_uid, &image.sop_instance_uid);
    let library = Item::container(dcm("126200", "Image Library Group")).with(vec![(Contains, source)]);
    let groups = found.into_iter().map(|landmark| (Contains, group(results, image, landmark)));
    let cautions = results.cautions();
    let cautions = cautions.iter().map(|caution| Item::text(ours("caution", "Caution"), caution));
    let lost = lost.into_iter().map(|one| Item::code(ours("not-found", "Landmark not found"), landmark_code(one)));
    let evaluations: Vec<_> = lost.chain(cautions).map(|item| (Contains, item)).collect();

    let language = Code { scheme: "RFC5646", value: "en", meaning: "English" };
    let procedure = Code { scheme: "SCT", value: "363679005", meaning: "Imaging procedure" };
    let mut children = vec![
        (HasConceptMod, Item::code(dcm("121049", "Language of Content Item and Descendants"), language)),
        (HasObsContext, Item::code(dcm("121005", "Observer Type"), dcm("121007", "Device"))),
        (HasObsContext, Item::uid(dcm("121012", "Device Observer UID"), &uid(&["bundle", &bundle.sha256]))),
        (HasObsContext, Item::text(dcm("121013", "Device Observer Name"), PROGRAM)),
        (HasConceptMod, Item::code(dcm("121058", "Procedure reported"), procedure)),
        (Contains, Item::container(dcm("111028", "Image Library")).with(vec![(Contains, library)])),
        (Contains, Item::container(dcm("126010", "Imaging Measurements")).with(groups.collect())),
    ];
    if !evaluations.is_empty() {
        let heading = Code { scheme: "UMLS", value: "C0034375", meaning: "Qualitative Evaluations" };
        children.push((Contains, Item::container(heading).with(evaluations)));
    }
    let root = Item::container(dcm("126000", "Imaging Measurement Report")).by_template("1500");
    root.with(children).into_elements()
}

/// One landmark: its name, the algorithm that found it, and its position.
fn group(results: &FilmResults<'_>, image: &DicomIdentity, landmark: &Detection) -> Item {
    let tracking = uid(&["landmark", &results.detections.bundle().sha256, &image.sop_instance_uid, landmark.name()]);
    let remark = remark(landmark);
    let label = if remark.is_empty() { landmark.title().to_owned() } else { format!("{}: {remark}", landmark.title()) };

    let certainty = landmark
        .confidence()
        .map(|share| (HasProperties, Item::number(dcm("111012", "Certainty of Finding"), 100.0 * share, PERCENT)));
    let radius = landmark.radius_mm().map(|radius| {
        let concept = ours("radius-90", "Radius that holds the landmark on 90 % of films");
        (HasProperties, Item::number(concept, radius, MM))
    });
    let finding = Item::code(dcm("121071", "Finding"), landmark_code(landmark));
    let source = Item::image(&image.sop_class_uid, &image.sop_instance_uid);
    let place = Item::point(landmark.position().x, landmark.position().y).with(vec![(SelectedFrom, source)]);
    let score = Item::number(ours("score", "Score"), f64::from(landmark.score()), NO_UNIT);

    let mut children = vec![
        (HasObsContext, Item::text(dcm("112039", "Tracking Identifier"), TRACKING_IDENTIFIER)),
        (HasObsContext, Item::uid(dcm("112040", "Tracking Unique Identifier"), &tracking)),
    ];
    // A point that a person placed does not come from the algorithm.
    if landmark.status() == Status::Found {
        children.extend(algorithm(results));
    }
    children.extend([
        (Contains, finding.with(certainty.into_iter().chain(radius).collect())),
        // The label that viewers show beside the point.
        (Contains, Item::text(dcm("121106", "Comment"), &label)),
        (Contains, score.with(vec![(InferredFrom, place)])),
    ]);
    Item::container(dcm("125007", "Measurement Group")).with(children)
}

/// TID 4019: the algorithm that found the landmark.
fn algorithm(results: &FilmResults<'_>) -> Vec<(Relation, Item)> {
    let bundle = results.detections.bundle();
    let spacing = results.detections.spacing().map(|spacing| format!("spacing: {spacing}"));
    let parameters = [
        format!("bundle: {}", bundle.name),
        format!("bundle sha256: {}", bundle.sha256),
        format!("backend: {}", results.detections.backend()),
        spacing.unwrap_or_else(|| "spacing: none is stated".into()),
    ];
    let name = Item::text(dcm("111001", "Algorithm Name"), "Onemark");
    let version = Item::text(dcm("111003", "Algorithm Version"), env!("CARGO_PKG_VERSION"));
    let parameters = parameters.iter().map(|text| Item::text(dcm("111002", "Algorithm Parameters"), text));
    [name, version].into_iter().chain(parameters).map(|item| (HasConceptMod, item)).collect()
}

fn landmark_code(landmark: &Detection) -> Code<'_> {
    ours(landmark.name(), landmark.title())
}

/// A UID that depends on the parts only: a UUID in the form of PS3.5 B.2, from their digest (RFC 9562, version 8).
fn uid(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let number = digest.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let number = number & !(0xf << 76) | 8 << 76;
    let number = number & !(3 << 62) | 2 << 62;
    format!("2.25.{number}")
}
