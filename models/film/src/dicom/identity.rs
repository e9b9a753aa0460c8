//! Patient and study of a film: the attributes that a DICOM report about it must contain. They are used for such reports only.

use std::fmt;

/// What a DICOM film states about patient, study and itself, in UTF-8. An attribute that is missing is empty.
///
/// `Debug` shows none of it, so that logs contain no patient data.
///
/// ```
/// use onemark_film::DicomIdentity;
///
/// let mut identity = DicomIdentity::default();
/// identity.patient_name = "Doe^Jane".into();
/// assert_eq!(format!("{identity:?}"), "DicomIdentity { .. }");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DicomIdentity {
    /// PatientName, its components as in DICOM: `Family^Given`.
    pub patient_name: String,
    /// PatientID
    pub patient_id: String,
    /// PatientBirthDate, `YYYYMMDD`
    pub patient_birth_date: String,
    /// PatientSex: `M`, `F` or `O`
    pub patient_sex: String,
    /// StudyInstanceUID
    pub study_instance_uid: String,
    /// StudyDate, `YYYYMMDD`
    pub study_date: String,
    /// StudyTime, `HHMMSS.FFFFFF`
    pub study_time: String,
    /// StudyID
    pub study_id: String,
    /// AccessionNumber
    pub accession_number: String,
    /// ReferringPhysicianName
    pub referring_physician_name: String,
    /// SeriesInstanceUID
    pub series_instance_uid: String,
    /// SOPClassUID: the kind of film.
    pub sop_class_uid: String,
    /// SOPInstanceUID: this film.
    pub sop_instance_uid: String,
}

impl fmt::Debug for DicomIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DicomIdentity").finish_non_exhaustive()
    }
}

#[cfg(feature = "dicom")]
impl DicomIdentity {
    pub(super) fn of(film: &dicom_object::InMemDicomObject) -> Self {
        use dicom_dictionary_std::tags;

        use super::text::text;

        Self {
            patient_name: text(film, tags::PATIENT_NAME),
            patient_id: text(film, tags::PATIENT_ID),
            patient_birth_date: text(film, tags::PATIENT_BIRTH_DATE),
            patient_sex: text(film, tags::PATIENT_SEX),
            study_instance_uid: text(film, tags::STUDY_INSTANCE_UID),
            study_date: text(film, tags::STUDY_DATE),
            study_time: text(film, tags::STUDY_TIME),
            study_id: text(film, tags::STUDY_ID),
            accession_number: text(film, tags::ACCESSION_NUMBER),
            referring_physician_name: text(film, tags::REFERRING_PHYSICIAN_NAME),
            series_instance_uid: text(film, tags::SERIES_INSTANCE_UID),
            sop_class_uid: text(film, tags::SOP_CLASS_UID),
            sop_instance_uid: text(film, tags::SOP_INSTANCE_UID),
        }
    }
}
