//! How a DICOM film's attributes are read: grey and identity; `spacing.rs` has the spacing. The films are synthetic; the expected numbers follow from the
//! formulas of PS3.3, C.11.
#![allow(clippy::unwrap_used)]

mod dicom_files;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_files::{Dicom, PATIENT};
use dicom_object::InMemDicomObject;
use onemark_film::{FilmWarning, Spacing};

/// The grey levels of a film of one row.
#[track_caller]
fn grey(film: &Dicom) -> Vec<u8> {
    film.film().grey().to_vec()
}

fn words(words: &[u16]) -> PrimitiveValue {
    PrimitiveValue::U16(words.into())
}

#[test]
fn without_window_the_darkest_is_black_and_the_brightest_white() {
    assert_eq!(grey(&Dicom::new(4, 12, &[100, 200, 300, 600])), [0, 51, 102, 255]);
    // If all pixels are equal, the range is empty.
    assert_eq!(grey(&Dicom::new(2, 12, &[7, 7])), [0, 0]);
}

#[test]
fn monochrome1_is_inverted() {
    let film = Dicom::new(4, 12, &[100, 200, 300, 600]).text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    assert_eq!(grey(&film), [255, 204, 153, 0]);
    assert_eq!(grey(&film.window("", "2048", "4096")), [249, 243, 236, 218]);
}

#[test]
fn windows_are_those_of_the_standard() {
    let film =
        |function, centre, width| grey(&Dicom::new(5, 12, &[0, 300, 512, 700, 4095]).window(function, centre, width));
    // (x - 511.5) / 1023 + 0.5, of 255.
    assert_eq!(film("LINEAR", "512", "1024"), [0, 75, 128, 174, 255]);
    assert_eq!(film("", "512\\100", "1024\\50"), [0, 75, 128, 174, 255]);
    // (x - 500) / 1000 + 0.5, of 255.
    assert_eq!(film("LINEAR_EXACT", "500", "1000"), [0, 77, 131, 179, 255]);
    // 1 / (1 + exp(-4 (x - 500) / 1000)), of 255.
    assert_eq!(film("SIGMOID", "500", "1000"), [30, 79, 131, 176, 255]);
    assert_eq!(film("LINEAR", "512.5", "1"), [0, 0, 0, 255, 255]);
}

#[test]
fn an_impossible_window_is_passed_over_with_a_warning() {
    for (function, width) in [("", "0"), ("LINEAR", "0.5"), ("LINEAR_EXACT", "-3"), ("SIGMOID", "0"), ("CUBIC", "1024")]
    {
        let film = Dicom::new(2, 12, &[100, 200]).window(function, "150", width).film();
        assert_eq!(film.grey(), &[0, 255], "{function} {width}");
        assert!(film.warnings()[0].to_string().contains("window"), "{:?}", film.warnings());
    }
    assert_eq!(grey(&Dicom::new(2, 12, &[100, 200]).window("", "", "")), [0, 255]);
}

#[test]
fn values_are_rescaled_before_the_window() {
    let film = Dicom::new(3, 12, &[0, 100, 200]).text(tags::RESCALE_SLOPE, VR::DS, "2");
    let film = film.text(tags::RESCALE_INTERCEPT, VR::DS, "-100").window("LINEAR_EXACT", "100", "400");
    assert_eq!(grey(&film), [0, 128, 255]);
}

#[test]
fn signed_pixels_and_unused_bits() {
    // -2048, -1, 0, 2047 in 12 bits: once with random values in the unused higher bits, once shifted up by two bits.
    let film = Dicom::new(4, 12, &[0x800, 0xFFF, 0, 0x7FF]).signed();
    assert_eq!(grey(&film), [0, 127, 128, 255]);
    assert_eq!(grey(&Dicom::new(4, 12, &[0x5800, 0xAFFF, 0x1000, 0xF7FF]).signed()), [0, 127, 128, 255]);
    let film = Dicom::new(4, 12, &[0x2003, 0x3FFC, 0xC001, 0x1FFC]).signed().number(tags::HIGH_BIT, 13);
    assert_eq!(grey(&film), [0, 127, 128, 255]);
}

#[test]
fn every_depth_from_8_to_16_bits() {
    for bits in [8, 10, 12, 15, 16] {
        let most = ((1_u32 << bits) - 1) as u16;
        assert_eq!(grey(&Dicom::new(3, bits, &[0, most / 5, most])), [0, 51, 255], "{bits} bits");
    }
    let bytes = Dicom::new(3, 8, &[0, 1, 2]).number(tags::BITS_ALLOCATED, 8);
    assert_eq!(
        grey(&bytes.clone().put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from([0_u8, 51, 255, 0]))),
        [0, 51, 255]
    );
    assert_eq!(grey(&bytes.put(tags::PIXEL_DATA, VR::OW, words(&[0x3300, 0x00FF]))), [0, 51, 255]);
}

#[test]
fn a_modality_table_replaces_the_rescaling() {
    let film = Dicom::new(4, 12, &[0, 10, 11, 4000]).text(tags::RESCALE_SLOPE, VR::DS, "7");
    let film = film.lut(tags::MODALITY_LUT_SEQUENCE, 10, 16, words(&[100, 160, 200]), 3);
    assert_eq!(grey(&film), [0, 0, 153, 255]);
    // If pixels are signed, the table's first value is signed too: -1.
    let film = Dicom::new(3, 12, &[0xFFF, 0, 1]).signed();
    let film = film.lut(tags::MODALITY_LUT_SEQUENCE, 0xFFFF, 16, words(&[100, 160, 200]), 3);
    assert_eq!(grey(&film), [0, 153, 255]);
}

#[test]
fn a_lookup_table_goes_before_the_window() {
    let film = Dicom::new(3, 12, &[5, 6, 7]).window("", "2048", "4096");
    // The table declares 16 bits and uses 12.
    let table = film.clone().lut(tags::VOILUT_SEQUENCE, 5, 16, words(&[4095, 819, 0]), 3);
    assert_eq!(grey(&table), [255, 51, 0]);
    let bytes = film.clone().lut(tags::VOILUT_SEQUENCE, 5, 8, PrimitiveValue::from([255_u8, 51, 0, 0]), 3);
    assert_eq!(grey(&bytes), [255, 51, 0]);
    let packed = film.clone().lut(tags::VOILUT_SEQUENCE, 5, 8, words(&[0x33FF, 0x0000]), 3);
    assert_eq!(grey(&packed), [255, 51, 0]);
}

/// A table that can't be read is as good as none, and that is said.
#[test]
fn tables_that_can_not_be_read_are_named() {
    let film = || Dicom::new(3, 12, &[5, 600, 4000]).window("", "2048", "4096");
    let table = |sequence, count| film().lut(sequence, 5, 16, words(&[4095, 5]), count);
    let item = |elements: Vec<DataElement<InMemDicomObject>>| vec![InMemDicomObject::from_element_iter(elements)];
    let descriptor = |numbers: &[u16]| DataElement::new(tags::LUT_DESCRIPTOR, VR::US, words(numbers));
    let data = || DataElement::new(tags::LUT_DATA, VR::OW, words(&[4095, 5]));
    let text = DataElement::new(tags::LUT_DATA, VR::LO, PrimitiveValue::from("Secret^Sarah"));
    for (sequence, name) in
        [(tags::MODALITY_LUT_SEQUENCE, "ModalityLUTSequence"), (tags::VOILUT_SEQUENCE, "VOILUTSequence")]
    {
        for (case, harmed) in [
            ("fewer entries than it declares", table(sequence, 3 * 2)),
            ("no descriptor", film().items(sequence, item(vec![data()]))),
            ("no data", film().items(sequence, item(vec![descriptor(&[2, 5, 16])]))),
            ("a descriptor of two numbers", film().items(sequence, item(vec![descriptor(&[2, 5]), data()]))),
            ("text", film().items(sequence, item(vec![descriptor(&[2, 5, 16]), text.clone()]))),
            ("an empty item", film().items(sequence, item(vec![]))),
            ("text in place of items", film().text(sequence, VR::LO, "Secret^Sarah")),
        ] {
            let harmed = harmed.film();
            assert_eq!(harmed.grey(), film().film().grey(), "{name}: {case}");
            let said: Vec<String> = harmed.warnings().iter().map(ToString::to_string).collect();
            let expected = format!("the lookup table in its {name} can't be used, so it was left out");
            assert!(matches!(&said[..], [one] if one.starts_with(&expected)), "{name}: {case}: {said:?}");
        }
        // A sequence without items states nothing.
        assert_eq!(film().items(sequence, vec![]).film().warnings(), []);
        assert_eq!(table(sequence, 2).film().warnings().len(), 0, "{name}");
    }
}

#[test]
fn numbers_beyond_all_bounds_do_no_harm() {
    let film = Dicom::new(2, 12, &[0, 0xFFF]).text(tags::RESCALE_SLOPE, VR::DS, "1e308").signed();
    let film = film.text(tags::RESCALE_INTERCEPT, VR::DS, "1e308");
    // Neither the rescaling nor the table can be used: the pixels are 0 and -1, and the table makes both the same.
    let film = film.lut(tags::VOILUT_SEQUENCE, 0x8000, 8, words(&[255, 51]), 2).film();
    assert_eq!(film.grey(), [255, 0]);
    let warned = |warning| film.warnings().contains(&warning);
    assert!(warned(FilmWarning::UnusableRescale) && warned(FilmWarning::TableBesideData), "{:?}", film.warnings());
}

#[test]
fn a_contradictory_polarity_is_pointed_out() {
    let film = |interpretation, shape| {
        let film = Dicom::new(2, 12, &[1, 2]).text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, interpretation);
        film.text(tags::PRESENTATION_LUT_SHAPE, VR::CS, shape).film()
    };
    let inverted = film("MONOCHROME1", "INVERSE");
    assert_eq!((inverted.grey(), inverted.warnings().len()), ([255, 0].as_slice(), 0));
    let contradictory = film("MONOCHROME2", "INVERSE");
    assert_eq!(contradictory.grey(), &[0, 255]);
    assert!(contradictory.warnings()[0].to_string().contains("PresentationLUTShape INVERSE contradicts MONOCHROME2"));
}

#[test]
fn names_come_out_in_utf8_whatever_the_character_set() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("", b"Buc^Jerome", "Buc^Jerome"),
        ("ISO_IR 100", b"Buc^J\xE9r\xF4me", "Buc^J\u{e9}r\u{f4}me"),
        ("ISO_IR 144", b"\xBB\xEE\xDAce\xBC\xD1yp\xD3", "\u{41b}\u{44e}\u{43a}ce\u{41c}\u{431}yp\u{433}"),
        ("ISO_IR 192", "Wang^\u{5c0f}\u{6771}".as_bytes(), "Wang^\u{5c0f}\u{6771}"),
        ("GB18030", b"Wang^\xD0\xA1\xB6\xAB", "Wang^\u{5c0f}\u{4e1c}"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B",
            "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE\xD4\xD7",
            "Hong^Gildong=\u{6d2a}^\u{5409}\u{6d1e}",
        ),
    ];
    for (set, written, expected) in cases {
        // The writer does not support all character sets. It writes a name of the same length, which is then replaced.
        let placeholder = "x".repeat(written.len() + written.len() % 2);
        let film = Dicom::new(2, 12, &[1, 2]).text(tags::SPECIFIC_CHARACTER_SET, VR::CS, set);
        let mut bytes = film.text(tags::PATIENT_NAME, VR::PN, &placeholder).bytes();
        let at = bytes.windows(placeholder.len()).position(|here| here == placeholder.as_bytes()).unwrap();
        bytes[at..at + placeholder.len()].fill(b' ');
        bytes[at..at + written.len()].copy_from_slice(written);
        let film = dicom_files::read(&bytes).unwrap();
        assert_eq!(film.dicom().unwrap().patient_name, *expected, "{set}");
    }
}

#[test]
fn a_film_says_whose_it_is_and_nothing_it_does_not_know() {
    let film = Dicom::new(2, 12, &[1, 2]).text(tags::STUDY_DATE, VR::DA, "20240229").text(
        tags::ACCESSION_NUMBER,
        VR::SH,
        "A7 ",
    );
    let film = film.film();
    let identity = film.dicom().unwrap();
    assert_eq!((identity.patient_name.as_str(), identity.study_date.as_str()), (PATIENT, "20240229"));
    assert_eq!((identity.accession_number.as_str(), identity.study_time.as_str()), ("A7", ""));
    assert!(identity.sop_class_uid.starts_with("1.2.840.10008.5.1.4.1.1."));
    let shown = format!("{film:?} {identity:?}");
    assert!(!shown.contains("Secret") && !shown.contains("20240229"), "{shown}");
}

#[test]
fn a_stated_spacing_drops_the_warnings_about_spacing_only() {
    let film = Dicom::new(2, 12, &[1, 2]).text(tags::PIXEL_SPACING, VR::DS, "0\\0").window("CUBIC", "1", "2").film();
    assert_eq!(film.warnings().len(), 3);
    let film = film.with_spacing(Spacing::new(20.0, 20.0, "a person").unwrap());
    assert!(matches!(film.warnings(), [FilmWarning::UnusableWindow { .. }]), "{:?}", film.warnings());
}
