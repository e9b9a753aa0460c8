//! DICOM films whose attributes don't fit their pixels or don't describe a radiograph as people read it: what is shown, and what is
//! said. The films are synthetic.
#![allow(clippy::unwrap_used)]

mod dicom_files;

use dicom_core::{PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_files::Dicom;
use onemark_film::{Film, FilmWarning};

/// A picture of 12 bits: a ramp in steps of 40.
fn ramp() -> Vec<u16> {
    (0..100).map(|step| step * 40).collect()
}

/// The warnings of a film that are not about its spacing, as a person reads them.
fn said(film: &Film) -> Vec<String> {
    film.warnings().iter().filter(|warning| !warning.is_about_spacing()).map(ToString::to_string).collect()
}

/// The film has one such warning, which says these words.
#[track_caller]
fn assert_says(film: &Film, words: &str) {
    let said = said(film);
    assert!(matches!(&said[..], [one] if one.contains(words)), "{words}: {said:?}");
}

fn padded(padding: u16, pixels: &[u16]) -> Vec<u16> {
    [&[padding; 30][..], pixels].concat()
}

#[test]
fn padding_is_black_and_counts_for_nothing() {
    let plain = Dicom::new(10, 12, &ramp()).film();
    let shown = |film: &Dicom| {
        let film = film.film();
        assert_eq!(said(&film), [""; 0]);
        assert!(film.grey()[..30].iter().all(|grey| *grey == 0), "{:?}", &film.grey()[..30]);
        film.grey()[30..].to_vec()
    };
    let high = Dicom::new(10, 16, &padded(65535, &ramp())).number(tags::PIXEL_PADDING_VALUE, 65535);
    assert_eq!(shown(&high), plain.grey());
    // The same in bits that BitsStored does not count, and as a signed number.
    let unused = Dicom::new(10, 12, &padded(65535, &ramp())).number(tags::PIXEL_PADDING_VALUE, 65535);
    assert_eq!(shown(&unused), plain.grey());
    let low = Dicom::new(10, 16, &padded(0x8000, &ramp())).signed();
    let low = low.put(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-32768_i16));
    assert_eq!(shown(&low), plain.grey());
    let unsigned_type = low.number(tags::PIXEL_PADDING_VALUE, 0x8000);
    assert_eq!(shown(&unsigned_type), plain.grey());
    // A range, in either order.
    let mut pixels = padded(60000, &ramp());
    pixels[..10].fill(61000);
    for (value, limit) in [(60000, 61000), (61000, 60000)] {
        let range = Dicom::new(10, 16, &pixels).number(tags::PIXEL_PADDING_VALUE, value);
        assert_eq!(shown(&range.number(tags::PIXEL_PADDING_RANGE_LIMIT, limit)), plain.grey());
    }
    // Black also where small values are bright, and whatever a window would show.
    let inverted = high.clone().text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    assert_eq!(shown(&inverted), plain.grey().iter().map(|grey| 255 - grey).collect::<Vec<_>>());
    assert_eq!(shown(&high.window("LINEAR_EXACT", "1980", "3960")), plain.grey());
}

/// Padding that is not stated, and dead pixels: one value far above or below all others.
#[test]
fn a_value_far_from_all_others_counts_for_nothing() {
    let plain = Dicom::new(10, 12, &ramp()).film();
    for (far, shown, signed) in [(65535, 255, false), (0x8000, 0, true)] {
        let film = Dicom::new(10, 16, &padded(far, &ramp()));
        let film = if signed { film.signed() } else { film };
        let value = if signed { "-32768" } else { "65535" };
        let words =
            format!("one of its values, {value}, is far from all others, of which 0 is shown black and 3960 white");
        assert_says(&film.film(), &words);
        assert_eq!(film.film().grey()[30..], *plain.grey());
        assert!(film.film().grey()[..30].iter().all(|grey| *grey == shown));
        // A window says what is black and white.
        assert_eq!(said(&film.window("LINEAR", "2048", "4096").film()), [""; 0]);
    }
    // A drawing has few values, and a film with a white mark has none between that are missing.
    assert_eq!(said(&Dicom::new(10, 16, &padded(65535, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).film()), [""; 0]);
    assert_eq!(said(&Dicom::new(10, 16, &padded(16_000, &ramp())).film()), [""; 0]);
}

/// A film that is all padding is none.
#[test]
fn padding_is_not_the_whole_film() {
    let film = Dicom::new(10, 12, &ramp()).number(tags::PIXEL_PADDING_VALUE, 0);
    assert_eq!(
        film.number(tags::PIXEL_PADDING_RANGE_LIMIT, 4095).film().grey(),
        Dicom::new(10, 12, &ramp()).film().grey()
    );
}

#[test]
fn a_window_that_shows_nothing_is_not_used() {
    let film = || Dicom::new(10, 12, &ramp());
    let all = film().film();
    // Above and below the pixels, and so wide that they all become nearly the same grey.
    for (function, centre, width) in [
        ("LINEAR", "40000", "2000"),
        ("LINEAR", "-9000", "100"),
        ("LINEAR_EXACT", "32768", "65536"),
        ("SIGMOID", "40000", "90"),
    ] {
        let film = film().window(function, centre, width).film();
        assert_eq!(film.grey(), all.grey(), "{function} {centre} {width}");
        assert_says(&film, &format!("its window ({centre} {width}) shows almost nothing of its pixels"));
        assert!(matches!(film.warnings(), [FilmWarning::WindowBesideData { .. }]));
    }
    let table = PrimitiveValue::U16([0, 2000, 4095].as_slice().into());
    let beside = film().lut(tags::VOILUT_SEQUENCE, 50_000, 12, table, 3).film();
    assert_eq!(beside.grey(), all.grey());
    assert_says(&beside, "its VOI lookup table shows almost nothing");
    // A dark film under a window that shows it is left as it is, and so is a film of one grey.
    assert_eq!(said(&film().window("LINEAR", "10000", "20001").film()), [""; 0]);
    let one_grey = Dicom::new(10, 12, &[7; 20]).window("LINEAR", "4000", "100").film();
    assert!(!said(&one_grey).iter().any(|words| words.contains("window")), "{:?}", said(&one_grey));
}

#[test]
fn a_window_of_other_things_than_numbers_is_not_used() {
    let film = |centre, width| Dicom::new(10, 12, &ramp()).window("", centre, width).film();
    for (centre, width) in [("2048,5", "4096"), ("NaN", "4096"), ("2048", ""), ("", "4096"), ("2048", "inf")] {
        let film = film(centre, width);
        assert_says(&film, "its WindowCenter and WindowWidth are not two numbers");
        assert_eq!(film.grey(), Dicom::new(10, 12, &ramp()).film().grey(), "{centre} {width}");
    }
    let named = Dicom::new(10, 12, &ramp()).window("\x1b[2Jsecret", "2048", "4096").film();
    let narrow = Dicom::new(10, 12, &ramp()).window("", "2048", "0.5").film();
    assert_says(&narrow, "its window (WindowCenter 2048, WindowWidth 0.5, VOILUTFunction not stated) can't be used");
    assert_says(&named, "its window (WindowCenter 2048, WindowWidth 4096, VOILUTFunction (not a code)) can't be used");
}

#[test]
fn a_rescaling_that_erases_the_film_is_not_used() {
    let film = |slope, intercept| {
        let film = Dicom::new(10, 12, &ramp()).text(tags::RESCALE_SLOPE, VR::DS, slope);
        film.text(tags::RESCALE_INTERCEPT, VR::DS, intercept).film()
    };
    for (slope, intercept) in [("0", "5"), ("NaN", "0"), ("1,5", "0"), ("1", "inf"), ("1e308", "1e308"), ("one", "")] {
        let film = film(slope, intercept);
        assert_says(&film, "its RescaleSlope and RescaleIntercept can't be used");
        assert_eq!(film.grey(), Dicom::new(10, 12, &ramp()).film().grey(), "{slope} {intercept}");
    }
    assert_eq!(said(&film("", "")), [""; 0]);
    // A negative slope is one.
    let negative = film("-1", "4095");
    assert_eq!((negative.grey()[0], said(&negative)), (255, vec![]));
}

#[test]
fn pixels_with_more_bits_than_stated_are_pointed_out() {
    let film = Dicom::new(2, 12, &[0x0FFF, 0x1000]).film();
    assert_eq!(film.grey(), [255, 0]);
    assert_says(&film, "BitsStored is 12, but pixels use higher bits");
    // Copies of the sign are not more bits.
    assert_eq!(said(&Dicom::new(3, 12, &[0xF800, 0x0800, 0x07FF]).signed().film()), [""; 0]);
    assert_says(&Dicom::new(3, 12, &[0xF7FF, 0x07FF, 0]).signed().film(), "BitsStored is 12");
}

#[test]
fn more_pixel_data_than_stated_is_pointed_out() {
    let film = |rows| Dicom::new(10, 12, &ramp()).number(tags::ROWS, rows).film();
    assert_says(&film(9), "PixelData has 200 bytes where Rows and Columns explain 180");
    assert_eq!(said(&film(10)), [""; 0]);
}

/// Three samples per pixel of 8 bits, in which `change` changes one.
fn three(photometric: &str, planar: u16, pixels: &[[u8; 3]]) -> Dicom {
    let samples: Vec<u8> = if planar == 0 {
        pixels.as_flattened().to_vec()
    } else {
        (0..3).flat_map(|kind| pixels.iter().map(move |pixel| pixel[kind])).collect()
    };
    Dicom::new(10, 8, &[0; 20])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric)
        .number(tags::SAMPLES_PER_PIXEL, 3)
        .number(tags::PLANAR_CONFIGURATION, planar)
        .number(tags::BITS_ALLOCATED, 8)
        .put(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(samples))
}

#[test]
fn grey_films_in_colours_are_read() {
    let levels: Vec<u8> = (0..20).map(|step| step * 13).collect();
    let grey: Vec<[u8; 3]> = levels.iter().map(|level| [*level; 3]).collect();
    let without_colour: Vec<[u8; 3]> = levels.iter().map(|level| [*level, 128, 128]).collect();
    for planar in [0, 1] {
        let film = three("RGB", planar, &grey).film();
        assert_eq!((film.grey(), said(&film)), (&levels[..], vec![]), "{planar}");
        // They are shown as they are, whatever a window says.
        assert_eq!(three("RGB", planar, &grey).window("", "10", "20").film().grey(), levels);
        assert_eq!(three("YBR_FULL", planar, &without_colour).film().grey(), levels, "{planar}");
    }
    let big_endian = Dicom { syntax: "1.2.840.10008.1.2.2", ..three("RGB", 0, &grey) };
    assert_eq!(big_endian.film().grey(), levels);
    // Conversions between colours round.
    let mut rounded = grey.clone();
    rounded[7][0] += 2;
    assert_eq!(three("RGB", 0, &rounded).film().grey(), levels);
}

#[test]
fn coloured_films_are_refused_by_name() {
    let mut marked = vec![[100; 3]; 20];
    marked[3] = [255, 255, 0];
    for planar in [0, 1] {
        let refusal = three("RGB", planar, &marked).refusal();
        assert!(refusal.contains("its pixels are RGB, not grey (1 of 20 are coloured)"), "{refusal}");
        assert!(refusal.contains("export it as MONOCHROME2, PNG or TIFF"), "{refusal}");
    }
    assert!(three("YBR_FULL", 0, &marked).refusal().contains("its pixels are YBR_FULL, not grey"));
    assert!(three("YBR_FULL_422", 0, &marked).refusal().contains("its pixels are YBR_FULL_422, not grey"));
    let short = three("RGB", 0, &marked).number(tags::ROWS, 3).refusal();
    assert!(short.contains("damaged or cut short"), "{short}");
    let compressed = three("RGB", 0, &marked).encapsulated(uids::RLE_LOSSLESS, vec![vec![0; 64]]);
    assert!(compressed.refusal().contains("its pixels are RGB, not grey"));
    let named = Dicom::new(2, 12, &[1, 2]).text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "Secret^Sarah").refusal();
    assert!(named.contains("its pixels are (not a code), not grey"), "{named}");
}

#[test]
fn a_film_that_is_not_upright_is_pointed_out() {
    let film = |orientation| Dicom::new(10, 12, &ramp()).text(tags::PATIENT_ORIENTATION, VR::CS, orientation);
    for (orientation, towards) in [
        ("A\\H", "head"),
        ("P\\HL", "head"),
        ("H\\A", "front"),
        ("F\\P", "back"),
        ("F\\LA", "left"),
        ("H\\R ", "right"),
    ] {
        let turned = film(orientation).film();
        assert_says(&turned, &format!("columns run towards the patient's {towards}, not towards the feet"));
        // It is left as it is: viewers show it so, and positions are those of its pixels.
        assert_eq!(turned.grey(), Dicom::new(10, 12, &ramp()).film().grey());
    }
    for upright in ["A\\F", "P\\F", "L\\F", "R\\FP", "", "A", "\\", "1\\0", "X\\Y"] {
        assert_eq!(said(&film(upright).film()), [""; 0], "{upright}");
    }
    // Hands stand with the fingers up, away from the head.
    assert_eq!(said(&film("R\\H").text(tags::BODY_PART_EXAMINED, VR::CS, "HAND").film()), [""; 0]);
}

#[test]
fn a_film_that_is_not_for_people_is_pointed_out() {
    let film = || Dicom::new(10, 12, &ramp());
    let raw = film().text(tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PROCESSING").film();
    assert_says(&raw, "(FOR PROCESSING)");
    let kind = film().text(tags::SOP_CLASS_UID, VR::UI, uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING).film();
    assert_says(&kind, "use the film FOR PRESENTATION");
    assert_eq!(said(&film().text(tags::PRESENTATION_INTENT_TYPE, VR::CS, "FOR PRESENTATION").film()), [""; 0]);
}

#[test]
fn a_film_that_is_no_radiograph_is_pointed_out() {
    let film = |modality| Dicom::new(10, 12, &ramp()).text(tags::MODALITY, VR::CS, modality).film();
    for modality in ["CT", "MR", "US", "PT", "SM"] {
        assert_says(&film(modality), &format!("its modality is {modality}, so it may be no radiograph"));
    }
    assert_says(&film("Secret^Sarah"), "its modality is (not a code)");
    for modality in ["", "DX", "CR", "PX", "IO", "RG", "OT"] {
        assert_eq!(said(&film(modality)), [""; 0], "{modality}");
    }
}

/// Numbers that no film has: different pixels would become equal, or messages hundreds of digits long.
#[test]
fn absurd_numbers_are_named_in_a_few_characters() {
    let plain = Dicom::new(10, 12, &ramp());
    let rescaled = |slope: &str, intercept: &str| {
        plain.clone().text(tags::RESCALE_SLOPE, VR::DS, slope).text(tags::RESCALE_INTERCEPT, VR::DS, intercept)
    };
    for (slope, intercept) in [("1e300", "0"), ("1e-300", "0"), ("1", "1e300"), ("-1e300", "-1e300"), ("0.001", "1e12")]
    {
        let film = rescaled(slope, intercept).film();
        assert_says(&film, "its RescaleSlope and RescaleIntercept can't be used");
        assert_eq!(film.grey(), plain.film().grey(), "{slope} {intercept}");
    }
    for (slope, intercept) in [("1e-5", "-1024"), ("-2.5", "0"), ("16", "1e6")] {
        assert_eq!(said(&rescaled(slope, intercept).film()), [""; 0], "{slope} {intercept}");
    }
    for (function, centre, width) in [("", "1e300", "256"), ("", "0", "1e300"), ("NONE", "1e300", "-1e300")] {
        let film = plain.clone().window(function, centre, width).film();
        assert_says(&film, "window");
        assert!(said(&film)[0].len() < 250 && said(&film)[0].contains("1.000e"), "{:?}", said(&film));
    }
}
