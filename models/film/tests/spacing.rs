//! What a DICOM film's attributes state about the size of its pixels, and what is said of it. The rule for other statements is tested
//! beside it.
#![allow(clippy::unwrap_used)]

mod dicom_files;

use std::fs;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_files::Dicom;
use onemark_film::{Film, FilmWarning, Spacing, SpacingWarning};

const FACTOR: Tag = tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR;

/// The sides in px of the films here: with 0.05 to 5 mm per px, they are as large as films can be.
const SIDE: u16 = 400;

/// Pixels of a film that shows something.
fn pixels() -> Vec<u16> {
    (0..u32::from(SIDE) * u32::from(SIDE)).map(|pixel| (pixel % 4096) as u16).collect()
}

/// A film whose only attributes about spacing are these decimal strings.
fn film(stated: &[(Tag, &str)]) -> Film {
    let film = Dicom::new(SIDE, 12, &pixels()).without(tags::PIXEL_SPACING);
    stated.iter().fold(film, |film, (tag, text)| film.text(*tag, VR::DS, text)).film()
}

/// Fails unless a film with these attributes has this spacing and warnings with these words, in their order.
#[track_caller]
fn assert_said(stated: &[(Tag, &str)], spacing: Option<([f64; 2], &'static str)>, warnings: &[&str]) {
    let film = film(stated);
    let expected = spacing.map(|([x, y], source)| Spacing::new(x, y, source).unwrap());
    assert_eq!(film.spacing(), expected.as_ref(), "{stated:?}");
    assert_eq!(film.warnings().len(), warnings.len(), "{stated:?}: {:?}", film.warnings());
    for (warning, says) in film.warnings().iter().zip(warnings) {
        assert!(warning.to_string().contains(says) && warning.is_about_spacing(), "{warning}, not {says}");
    }
}

#[test]
fn spacing_and_what_is_said_of_it() {
    /// PixelSpacing, ImagerPixelSpacing, the resulting spacing, and words of the warnings.
    type Case = (&'static str, &'static str, Option<([f64; 2], &'static str)>, &'static [&'static str]);
    let cases: &[Case] = &[
        // The distance between rows (y) comes first.
        ("0.2\\0.1", "", Some(([0.1, 0.2], "PixelSpacing")), &[]),
        ("0.1\\0.1", "0.12\\0.12", Some(([0.1, 0.1], "PixelSpacing")), &[]),
        ("0.1\\0.1", "0.1\\0.1", Some(([0.1, 0.1], "PixelSpacing")), &["PixelSpacing equals ImagerPixelSpacing"]),
        (
            "0.6\\0.6",
            "0.6000002\\0.5999999",
            Some(([0.6, 0.6], "PixelSpacing")),
            &["PixelSpacing equals ImagerPixelSpacing"],
        ),
        ("0.7\\0.7", "0.6\\0.6", Some(([0.7, 0.7], "PixelSpacing")), &["is larger than 0.6 x 0.6 mm per px by Imager"]),
        ("", "0.15\\0.14", Some(([0.14, 0.15], "ImagerPixelSpacing")), &["at the detector"]),
        ("0\\0", "0.1\\0.1", Some(([0.1, 0.1], "ImagerPixelSpacing")), &["PixelSpacing is 0\\0", "at the detector"]),
        ("0.000\\0.000", "", None, &["PixelSpacing is 0.000\\0.000", "in pixels only"]),
        ("-0.1\\0.1", "", None, &["PixelSpacing is -0.1\\0.1", "in pixels only"]),
        ("NaN\\0.1", "", None, &["PixelSpacing is NaN\\0.1", "in pixels only"]),
        ("0.1\\abc", "inf\\1", None, &["PixelSpacing is text", "ImagerPixelSpacing is inf", "in pixels only"]),
        ("0.1", "", None, &["PixelSpacing is 0.1", "in pixels only"]),
        ("0,6\\0,6", "", None, &["PixelSpacing is text", "in pixels only"]),
        ("1e-300\\1e300", "", None, &["PixelSpacing is 1e-300\\1e300", "in pixels only"]),
        ("", "", None, &["in pixels only"]),
        (
            "1\\1",
            "",
            Some(([1.0, 1.0], "PixelSpacing")),
            &["1 x 1 mm per px by PixelSpacing is what many programs write"],
        ),
        ("1.0\\1.000001", "", Some(([1.000_001, 1.0], "PixelSpacing")), &["what many programs write"]),
        ("", "1\\1", Some(([1.0, 1.0], "ImagerPixelSpacing")), &["at the detector", "what many programs write"]),
        ("600\\600", "", Some(([600.0, 600.0], "PixelSpacing")), &["radiographs have sides of 20 to 2000 mm"]),
        ("0.0006\\0.0006", "", Some(([0.0006, 0.0006], "PixelSpacing")), &["make the film 0.2 x 0.2 mm"]),
        (
            "0.5\\0.1",
            "",
            Some(([0.1, 0.5], "PixelSpacing")),
            &["0.1 x 0.5 mm per px by PixelSpacing are far from square"],
        ),
    ];
    for (patient, detector, spacing, warnings) in cases {
        let stated = [(tags::PIXEL_SPACING, *patient), (tags::IMAGER_PIXEL_SPACING, *detector)];
        assert_said(&stated, *spacing, warnings);
        // A spacing from a person replaces the file's, and what was said about the file's is removed.
        let stated = film(&stated).with_spacing(Spacing::parse("0.3", "a person").unwrap());
        assert_eq!(stated.spacing().map(Spacing::source), Some("a person"));
        for warning in stated.warnings() {
            let FilmWarning::Spacing(warning) = warning else { unreachable!("{warning}") };
            let is_new = matches!(warning, SpacingWarning::Differ { .. } | SpacingWarning::LargerThanAtDevice { .. });
            assert!(is_new, "{patient}, {detector}: {warning}");
        }
    }
}

#[test]
fn a_calibrated_spacing_is_believed() {
    let stated = [(tags::PIXEL_SPACING, "0.1\\0.1"), (tags::IMAGER_PIXEL_SPACING, "0.1\\0.1"), (FACTOR, "1.15")];
    let film = Dicom::new(SIDE, 12, &pixels());
    let film = stated.into_iter().fold(film, |film, (tag, text)| film.text(tag, VR::DS, text));
    let film = film.text(tags::PIXEL_SPACING_CALIBRATION_TYPE, VR::CS, "GEOMETRY").film();
    assert_eq!(film.warnings(), []);
}

#[test]
fn a_scanned_film_has_the_scanner_s_spacing() {
    let scanned = (tags::NOMINAL_SCANNED_PIXEL_SPACING, "0.5\\0.6");
    let by = Some(([0.6, 0.5], "NominalScannedPixelSpacing"));
    assert_said(&[scanned], by, &["applies on the scanned film"]);
    assert_said(&[scanned, (FACTOR, "1.25")], by, &["on the scanned film", "0.4800 x 0.4000 mm in the patient"]);
    // ImagerPixelSpacing is used before it, PixelSpacing before both.
    let by = Some(([0.4, 0.4], "ImagerPixelSpacing"));
    assert_said(&[scanned, (tags::IMAGER_PIXEL_SPACING, "0.4\\0.4")], by, &["at the detector"]);
    let repeated = [scanned, (tags::PIXEL_SPACING, "0.5\\0.6")];
    let by = Some(([0.6, 0.5], "PixelSpacing"));
    assert_said(&repeated, by, &["PixelSpacing equals NominalScannedPixelSpacing, so it applies on the scanned film"]);
    assert_said(&[(scanned.0, "0\\0")], None, &["NominalScannedPixelSpacing is 0\\0", "in pixels only"]);
}

#[test]
fn a_magnification_is_named_and_not_used() {
    let [to_detector, to_patient] = [tags::DISTANCE_SOURCE_TO_DETECTOR, tags::DISTANCE_SOURCE_TO_PATIENT];
    let detector = (tags::IMAGER_PIXEL_SPACING, "0.6\\0.6");
    /// Attributes, and words of the warnings.
    type Case<'a> = (&'a [(Tag, &'a str)], &'a [&'a str]);
    let cases: &[Case] = &[
        (&[(FACTOR, "1.15")], &["MagnificationFactor is 1.15: by this estimate", "0.5217 x 0.5217 mm in the patient"]),
        (
            &[(to_detector, "1650"), (to_patient, "1500")],
            &["Detector is 1650 and", "Patient 1500: ", "0.5455 x 0.5455"],
        ),
        // Both say the same.
        (&[(FACTOR, "1.1"), (to_detector, "1650"), (to_patient, "1500")], &["MagnificationFactor is 1.1", "0.5455"]),
        (&[(FACTOR, "0.87")], &["MagnificationFactor is 0.87, which is not a magnification"]),
        (&[(FACTOR, "115")], &["MagnificationFactor is 115, which is not a magnification"]),
        (&[(FACTOR, "NOBODY")], &["MagnificationFactor is text instead of numbers"]),
    ];
    for (more, says) in cases {
        let stated = [&[detector][..], more].concat();
        assert_said(&stated, Some(([0.6, 0.6], "ImagerPixelSpacing")), &["at the detector", says[0]]);
        let film = film(&stated);
        let warning = film.warnings()[1].to_string();
        assert!(says.iter().all(|says| warning.contains(says)), "{warning}");
    }
    for none in
        [&[(FACTOR, "1.0")][..], &[(FACTOR, "")], &[(to_detector, "1650")], &[(to_detector, "0"), (to_patient, "0")]]
    {
        let stated = [&[detector][..], none].concat();
        assert_said(&stated, Some(([0.6, 0.6], "ImagerPixelSpacing")), &["at the detector"]);
    }
    let both = [detector, (FACTOR, "1.15"), (to_detector, "1650"), (to_patient, "1500")];
    let by = Some(([0.6, 0.6], "ImagerPixelSpacing"));
    assert_said(&both, by, &["at the detector", "0.5217 x 0.5217", "0.5455 x 0.5455"]);
    let uncalibrated = [detector, (tags::PIXEL_SPACING, "0.6\\0.6"), (FACTOR, "1.15")];
    assert_said(&uncalibrated, Some(([0.6, 0.6], "PixelSpacing")), &["equals ImagerPixelSpacing", "0.5217 x 0.5217"]);
    let corrected = [detector, (tags::PIXEL_SPACING, "0.5217\\0.5217"), (FACTOR, "1.15")];
    assert_said(&corrected, Some(([0.5217, 0.5217], "PixelSpacing")), &[]);
    let alone = [(tags::PIXEL_SPACING, "0.6\\0.6"), (FACTOR, "1.15")];
    assert_said(
        &alone,
        Some(([0.6, 0.6], "PixelSpacing")),
        &["is 1.15; whether PixelSpacing allows for it is not stated"],
    );
}

#[test]
fn text_where_numbers_are_due_is_not_repeated() {
    for text in ["NOBODY^DRAWN \x1b]0;title\x07\u{9b}31m", "0.1\x1b[2J\\0.1", "0.1\x07\\0.1"] {
        for (tag, name) in [
            (tags::PIXEL_SPACING, "PixelSpacing"),
            (tags::IMAGER_PIXEL_SPACING, "ImagerPixelSpacing"),
            (tags::PIXEL_ASPECT_RATIO, "PixelAspectRatio"),
        ] {
            let film = film(&[(tag, text)]);
            assert_eq!((film.spacing(), film.pixel_aspect()), (None, None));
            let said: Vec<String> = film.warnings().iter().map(ToString::to_string).collect();
            let said = said.join("; ");
            assert!(said.contains(&format!("{name} is text instead of numbers")), "{said}");
            assert!(!said.contains("NOBODY") && !said.chars().any(char::is_control), "{said}");
        }
    }
}

/// Other text of a file is repeated in messages only if it looks like a code.
#[test]
fn no_message_has_control_characters() {
    let film = Dicom::new(1, 12, &[1]).text(tags::PRESENTATION_LUT_SHAPE, VR::CS, "INVERSE");
    let shape = film.clone().window("CUBIC\x07", "1", "2").film();
    let said: Vec<String> = shape.warnings().iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|said| said.contains("WindowCenter 1, WindowWidth 2, VOILUTFunction (not a code)")),
        "{said:?}"
    );
    let refusal = film.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB\x07\x0b").refusal();
    assert!(!refusal.chars().any(char::is_control), "{refusal}");
}

#[test]
fn the_shape_of_pixels_is_known_without_their_size() {
    let aspect = |ratio: &str, spacing: &str| {
        let film = Dicom::new(SIDE, 12, &pixels());
        let film = film.text(tags::PIXEL_SPACING, VR::DS, spacing);
        film.text(tags::PIXEL_ASPECT_RATIO, VR::IS, ratio).film()
    };
    for (ratio, expected) in [
        ("2\\1", Some(2.0)),
        ("1\\4", Some(0.25)),
        ("1\\1", None),
        ("1000\\1001", None),
        ("", None),
        ("0\\1", None),
        ("1\\0", None),
        ("-2\\-1", None),
        ("2", None),
    ] {
        assert_eq!(aspect(ratio, "").pixel_aspect(), expected, "{ratio}");
    }
    let unusable = aspect("0\\1", "");
    let says = "PixelAspectRatio is 0\\1, which is not the shape of a pixel";
    assert!(unusable.warnings().iter().any(|warning| warning.to_string() == says), "{:?}", unusable.warnings());
    // With a spacing, the shape follows from it.
    let agreed = aspect("2\\1", "0.2\\0.1");
    assert_eq!((agreed.pixel_aspect(), agreed.warnings()), (None, [].as_slice()));
    let contradicted = aspect("2\\1", "0.1\\0.1");
    let said = contradicted.warnings()[0].to_string();
    assert!(said.contains("contradicts PixelAspectRatio, by which a pixel is 2 times as high as wide"), "{said}");
    let stated = aspect("2\\1", "").with_spacing(Spacing::parse("0.1", "a person").unwrap());
    assert!(stated.warnings()[0].to_string().contains("contradicts PixelAspectRatio"), "{:?}", stated.warnings());
}

#[test]
fn other_programs_may_show_it_by_another_spacing() {
    let calibrated = film(&[(tags::PIXEL_SPACING, "0.5217\\0.5217"), (tags::IMAGER_PIXEL_SPACING, "0.6\\0.6")]);
    let shown = |film: &Film| film.file_spacing().map(ToString::to_string);
    assert_eq!(shown(&calibrated).unwrap(), "0.6 x 0.6 mm per px by ImagerPixelSpacing");
    let stated = film(&[(tags::PIXEL_SPACING, "0.6\\0.6")]).with_spacing(Spacing::parse("0.1", "a person").unwrap());
    assert_eq!(shown(&stated).unwrap(), "0.6 x 0.6 mm per px by PixelSpacing");
    assert_eq!(shown(&film(&[])), None);
}

/// Another program may write numbers as they are in its memory.
#[test]
fn numbers_of_other_types_are_read_as_well() {
    let film = Dicom::new(1, 12, &[1]).put(tags::PIXEL_SPACING, VR::FD, PrimitiveValue::from([30.0, 25.0])).film();
    assert_eq!(film.spacing(), Some(&Spacing::new(25.0, 30.0, "PixelSpacing").unwrap()));
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SPACING.md");
const START: &str = "<!-- attributes -->\n";
const END: &str = "<!-- end -->";

/// `ONEMARK_UPDATE=1` writes the table again.
#[test]
fn the_document_says_what_attributes_become() {
    let [size, detector, scanned] =
        [tags::PIXEL_SPACING, tags::IMAGER_PIXEL_SPACING, tags::NOMINAL_SCANNED_PIXEL_SPACING];
    let films: &[&[(Tag, &str)]] = &[
        &[],
        &[(size, "0.1\\0.1")],
        &[(size, "0.1\\0.1"), (detector, "0.12\\0.12")],
        &[(size, "0.1\\0.1"), (detector, "0.1000001\\0.1")],
        &[(size, "0.14\\0.14"), (detector, "0.12\\0.12")],
        &[(detector, "0.12\\0.12")],
        &[(detector, "0.12\\0.12"), (FACTOR, "1.15")],
        &[
            (detector, "0.12\\0.12"),
            (tags::DISTANCE_SOURCE_TO_DETECTOR, "1650"),
            (tags::DISTANCE_SOURCE_TO_PATIENT, "1500"),
        ],
        &[(size, "0.12\\0.12"), (FACTOR, "1.15")],
        &[(detector, "0.12\\0.12"), (FACTOR, "0.87")],
        &[(scanned, "0.12\\0.12")],
        &[(size, "1\\1")],
        &[(size, "600\\600")],
        &[(size, "0.0006\\0.0006")],
        &[(size, "1e-300\\1e300")],
        &[(size, "0\\0")],
        &[(size, "Doe^Jane")],
        &[(size, "0.5\\0.1")],
        &[(tags::PIXEL_ASPECT_RATIO, "2\\1")],
        &[(size, "0.1\\0.1"), (tags::PIXEL_ASPECT_RATIO, "2\\1")],
    ];
    let mut table = String::from("| the file states | mm per px, x and y | warnings |\n|---|---|---|\n");
    for stated in films {
        let film = film(stated);
        let name = |tag: &Tag| StandardDataDictionary.by_tag(*tag).unwrap().alias();
        let stated: Vec<String> = stated.iter().map(|(tag, text)| format!("{} {text}", name(tag))).collect();
        let spacing = film
            .spacing()
            .map_or("none".into(), |spacing| format!("{} x {} by {}", spacing.x(), spacing.y(), spacing.source()));
        let warnings: Vec<String> = film.warnings().iter().map(ToString::to_string).collect();
        table += &format!("| {} | {spacing} | {} |\n", stated.join(", "), warnings.join("; "));
    }
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = document.split_once(START).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    if std::env::var_os("ONEMARK_UPDATE").is_some() {
        fs::write(DOCUMENT, [before, START, &table, END, after].concat()).unwrap();
    } else {
        assert!(documented == table, "docs/SPACING.md is out of date: run this test with ONEMARK_UPDATE=1");
    }
}
