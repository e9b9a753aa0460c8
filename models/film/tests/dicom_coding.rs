//! DICOM films in all transfer syntaxes: each gives the same pixels. A damaged file is refused with a reason or gives the whole
//! film. It never causes a panic, and messages contain no patient data.
#![allow(clippy::unwrap_used)]

mod dicom_files;

use std::fs;
use std::io::Cursor;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_files::{Dicom, PATIENT, read};
use dicom_object::InMemDicomObject;
use image::{GrayImage, ImageFormat};
use onemark_film::{Film, FilmError, Size, directory_films};

const COLUMNS: u16 = 40;
const ROWS: u16 = 36;
/// The allowed difference between two decoders of lossy JPEG, in grey levels.
const ROUNDING_LEVELS: u8 = 1;
/// The length of preamble and magic letters.
const MAGIC_END: usize = 132;
/// The length of preamble, magic letters and the first attribute, which is the length of the file meta information.
const LENGTH_END: usize = MAGIC_END + 12;

/// The pixels of goldens/jpeg2000.py in this number of bits: steps by column and by row.
fn ramp(column_step: u32, row_step: u32, bits: u32) -> Vec<u16> {
    let at = |index: u32| index % u32::from(COLUMNS) * column_step + index / u32::from(COLUMNS) * row_step;
    (0..u32::from(COLUMNS) * u32::from(ROWS)).map(|index| (at(index) % (1 << bits)) as u16).collect()
}

fn film() -> Dicom {
    Dicom::new(COLUMNS, 16, &ramp(9001, 12007, 16)).window("", "32768", "65536")
}

/// RLE as in PS3.5, annex G: two segments of literal runs.
fn rle(pixels: &[u16]) -> Vec<u8> {
    let segment = |half: fn(&u16) -> u8| -> Vec<u8> {
        let bytes: Vec<u8> = pixels.iter().map(half).collect();
        bytes.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect()
    };
    let (high, low) = (segment(|word| (word >> 8) as u8), segment(|word| *word as u8));
    let mut header = [0_u32; 16];
    header[..3].copy_from_slice(&[2, 64, 64 + high.len() as u32]);
    [header.iter().flat_map(|word| word.to_le_bytes()).collect(), high, low].concat()
}

fn jpeg_ls(pixels: &[u16]) -> Vec<u8> {
    let mut stream = Vec::new();
    jpegls::encode(pixels, u32::from(COLUMNS), u32::from(ROWS), &mut stream).unwrap();
    stream
}

/// The same film in every lossless transfer syntax that this test can write.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = ramp(9001, 12007, 16);
    let native = |syntax| Dicom { syntax, ..film() };
    let packed = |syntax, stream: Vec<u8>| {
        let (first, second) = stream.split_at(stream.len() / 4 * 2);
        film().encapsulated(syntax, vec![first.to_vec(), second.to_vec()]).bytes()
    };
    let (explicit, implicit) = (film().bytes(), native(uids::IMPLICIT_VR_LITTLE_ENDIAN).bytes());
    let data_set = |file: &[u8]| {
        let length = u32::from_le_bytes(file[LENGTH_END - 4..LENGTH_END].try_into().unwrap());
        file[LENGTH_END + length as usize..].to_vec()
    };
    vec![
        ("without preamble", explicit[MAGIC_END..].to_vec()),
        ("without the header's length", [&explicit[..MAGIC_END], &explicit[LENGTH_END..]].concat()),
        ("with neither", explicit[LENGTH_END..].to_vec()),
        ("explicit, without header", data_set(&explicit)),
        ("implicit, without header", data_set(&implicit)),
        ("explicit", explicit),
        ("implicit", implicit),
        ("big endian", native("1.2.840.10008.1.2.2").bytes()),
        ("RLE", packed(uids::RLE_LOSSLESS, rle(&pixels))),
        ("JPEG-LS", packed(uids::JPEGLS_LOSSLESS, jpeg_ls(&pixels))),
        ("JPEG 2000", packed(uids::JPEG2000_LOSSLESS, include_bytes!("goldens/unsigned16.j2k").to_vec())),
    ]
}

#[test]
fn every_form_gives_the_same_film() {
    let expected = film().film();
    assert_eq!((expected.width(), expected.height()), (u32::from(COLUMNS), u32::from(ROWS)));
    for (form, bytes) in forms() {
        assert_eq!(read(&bytes).unwrap(), expected, "{form}");
    }
}

#[test]
fn signed_jpeg_2000() {
    let pixels: Vec<u16> = ramp(301, 577, 12).iter().map(|value| value.wrapping_sub(2048)).collect();
    let native = Dicom::new(COLUMNS, 12, &pixels).signed();
    let stream = include_bytes!("goldens/signed12.j2k").to_vec();
    assert_eq!(native.clone().encapsulated(uids::JPEG2000, vec![stream]).film(), native.film());
}

#[test]
fn jpeg_of_8_bits() {
    let grey = GrayImage::from_fn(u32::from(COLUMNS), u32::from(ROWS), |x, y| image::Luma([(3 * x + 3 * y) as u8]));
    let mut stream = Cursor::new(Vec::new());
    grey.write_to(&mut stream, ImageFormat::Jpeg).unwrap();
    let film = Dicom::new(COLUMNS, 8, &ramp(0, 0, 8)).number(tags::BITS_ALLOCATED, 8).window("", "128", "256");
    let jpeg = read(stream.get_ref()).unwrap();
    let film = film.encapsulated(uids::JPEG_BASELINE8_BIT, vec![stream.into_inner()]).film();
    let apart = film.grey().iter().zip(jpeg.grey().iter()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
    assert!(apart <= ROUNDING_LEVELS, "{apart} levels apart");
}

#[test]
fn what_is_no_film_is_refused_by_name() {
    let cell = || film().encapsulated(uids::JPEGLS_LOSSLESS, vec![jpeg_ls(&ramp(1, 1, 16))]);
    let nested = (0..40).fold(InMemDicomObject::new_empty(), |inner, _| {
        Dicom { attributes: InMemDicomObject::new_empty(), ..film() }
            .items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![inner])
            .attributes
    });
    let cases: Vec<(Dicom, &[&str])> = vec![
        (film().text(tags::NUMBER_OF_FRAMES, VR::IS, "12"), &["multi-frame (12 frames)", "export the frame"]),
        (film().without(tags::PIXEL_DATA), &["holds no pixels", "give the film itself"]),
        (film().without(tags::PIXEL_DATA).text(tags::MODALITY, VR::CS, "SR"), &["its modality is SR"]),
        (film().text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "RGB"), &["pixels are RGB, not grey", "MONOCHROME2"]),
        (film().text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR"), &["PALETTE COLOR"]),
        (film().without(tags::PHOTOMETRIC_INTERPRETATION), &["does not state its PhotometricInterpretation"]),
        (
            film().number(tags::SAMPLES_PER_PIXEL, 3),
            &["its pixels are MONOCHROME2 and have 3 samples (SamplesPerPixel), where one is read"],
        ),
        (film().number(tags::BITS_ALLOCATED, 32), &["its pixels have 32 bits (BitsAllocated), where 8 or 16 are read"]),
        (film().number(tags::BITS_ALLOCATED, 1), &["its pixels have 1 bits (BitsAllocated), where 8 or 16 are read"]),
        (film().number(tags::BITS_STORED, 17), &["16 bits it claims to use 17"]),
        (film().number(tags::BITS_STORED, 0), &["it claims to use 0"]),
        (
            film().put(tags::HIGH_BIT, VR::UL, PrimitiveValue::from(u32::MAX)),
            &["highest used bit is number 4294967295"],
        ),
        (film().number(tags::HIGH_BIT, 40), &["highest used bit is number 40"]),
        (film().without(tags::ROWS), &["does not state its Rows"]),
        (film().without(tags::COLUMNS), &["does not state its Columns"]),
        (film().number(tags::ROWS, 0), &["empty (40x0 px)"]),
        (film().number(tags::ROWS, 65535).number(tags::COLUMNS, 65535), &["too large: 65535x65535 px"]),
        (film().number(tags::ROWS, 37), &["1440 pixels where 1480 are expected"]),
        (Dicom { syntax: uids::MPEG2MPML, ..cell() }, &["transfer syntax MPEG2", "is not read", "uncompressed"]),
        (
            Dicom { syntax: uids::HTJ2K_LOSSLESS, ..cell() },
            &["transfer syntax High-Throughput JPEG 2000", "is not read"],
        ),
        (film().encapsulated(uids::RLE_LOSSLESS, vec![]), &["RLE stream can't be decoded"]),
        (
            film().encapsulated(uids::RLE_LOSSLESS, vec![rle(&ramp(1, 1, 16)[1..])]),
            &["a segment ends after 1439 of 1440"],
        ),
        (cell().number(tags::ROWS, 35), &["JPEG-LS stream can't be decoded", "1400"]),
        (
            cell().encapsulated(uids::JPEG2000, vec![jpeg_ls(&ramp(1, 1, 16))]),
            &["its transfer syntax says JPEG 2000, but its pixels are JPEG-LS"],
        ),
        (cell().encapsulated(uids::JPEG_LOSSLESS_SV1, vec![vec![1, 2, 3, 4]]), &["JPEG stream can't be decoded"]),
        (
            film()
                .encapsulated(uids::JPEG2000, vec![include_bytes!("goldens/unsigned16.j2k").to_vec()])
                .number(tags::ROWS, 35),
            &["says 40x35 px and its compressed stream 40x36 px"],
        ),
        (
            Dicom { syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN, ..film() }
                .items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![nested]),
            &["more than 32 deep"],
        ),
        (film().items(tags::DIRECTORY_RECORD_SEQUENCE, vec![]), &["it is a DICOMDIR"]),
    ];
    for (film, says) in cases {
        let refusal = film.refusal();
        assert!(says.iter().chain(&["film.dcm"]).all(|words| refusal.contains(words)), "{says:?}: {refusal}");
        assert!(!refusal.contains(PATIENT), "{refusal}");
    }
    let mut unknown = film().bytes();
    let syntax = b"1.2.840.10008.1.2.1\0";
    let at = unknown.windows(syntax.len()).position(|here| here == syntax).unwrap();
    unknown[at + syntax.len() - 2] = b'7';
    assert!(read(&unknown).unwrap_err().to_string().contains("transfer syntax 1.2.840.10008.1.2.7 is unknown"));
    let text = film().bytes()[..MAGIC_END + 20].to_vec();
    assert!(read(&text).unwrap_err().to_string().contains("damaged or cut short"));
}

/// Values that claim a length of gigabytes are refused before memory is allocated, in the data set and in the file meta information.
#[test]
fn absurd_lengths_are_refused() {
    let bytes = film().bytes();
    for (attribute, length) in [(&b"\xE0\x7F\x10\0OW\0\0"[..], 8), (b"\x02\0\x01\0OB\0\0", 8)] {
        let mut harmed = bytes.clone();
        let at = bytes.windows(attribute.len()).position(|here| here == attribute).unwrap();
        harmed[at + length..at + length + 4].copy_from_slice(&0xF000_0000_u32.to_le_bytes());
        assert!(read(&harmed).unwrap_err().to_string().contains("damaged or cut short"));
    }
}

/// Sixty thousand nested sequences would overflow the stack of a recursive parser.
#[test]
fn bottomless_nesting_is_refused() {
    let mut bytes = film().without(tags::PIXEL_DATA).bytes();
    let level = b"\x40\0\x75\x02SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF";
    bytes.extend(level.repeat(60_000));
    assert!(read(&bytes).unwrap_err().to_string().contains("more than 32 deep"));
}

/// A truncated file is an error or, if only bytes after the pixels are missing, the whole film.
#[test]
fn a_film_cut_short_is_never_a_film() {
    let whole = film().film();
    for (form, bytes) in forms() {
        for kept in (0..bytes.len()).step_by(11).chain(bytes.len() - 20..bytes.len()) {
            match read(&bytes[..kept]) {
                Ok(film) => assert_eq!(film.grey(), whole.grey(), "{form} cut at {kept}"),
                Err(error) => assert!(!error.to_string().contains(PATIENT), "{error}"),
            }
        }
    }
}

/// A changed byte causes an error or another film, never a panic.
#[test]
fn harmed_bytes_never_panic() {
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for (_, bytes) in forms() {
        for _ in 0..300 {
            let mut harmed = bytes.clone();
            for _ in 0..=next(3) {
                harmed[next(bytes.len())] = next(256) as u8;
            }
            let error = read(&harmed).err();
            refused += usize::from(error.is_some());
            assert!(error.is_none_or(|error| !error.to_string().contains(PATIENT)));
        }
    }
    assert!(refused > 100, "only {refused}: nothing was harmed");
}

/// A DICOMDIR that lists these paths, each with its record type.
fn directory(records: &[(&str, &str)]) -> Dicom {
    let record = |(kind, place): &(&str, &str)| {
        let places: Vec<&str> = place.split('\\').collect();
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::DIRECTORY_RECORD_TYPE, VR::CS, PrimitiveValue::from(*kind)),
            DataElement::new(
                tags::REFERENCED_FILE_ID,
                VR::CS,
                PrimitiveValue::Strs(places.iter().map(|p| (*p).to_owned()).collect()),
            ),
        ])
    };
    let empty = Dicom { attributes: InMemDicomObject::new_empty(), syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN };
    empty.items(tags::DIRECTORY_RECORD_SEQUENCE, records.iter().map(record).collect())
}

#[test]
fn a_dicomdir_lists_films() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("DICOMDIR");
    let films = |records: &[(&str, &str)]| {
        fs::write(&place, directory(records).bytes()).unwrap();
        directory_films(&place)
    };
    fs::create_dir(folder.path().join("images")).unwrap();
    fs::write(folder.path().join("images/im2"), "").unwrap();
    let found = films(&[("PATIENT", "P1"), ("IMAGE", "IMAGES\\IM1"), ("IMAGE", "IMAGES\\IM2"), ("SR DOCUMENT", "SR1")])
        .unwrap();
    // Files whose names were changed to lower case by copying are found.
    assert_eq!(found, [folder.path().join("IMAGES/IM1"), folder.path().join("images/im2")]);
    for (records, says) in [
        (&[("IMAGE", "..\\SECRET")][..], "not a name in its folder"),
        (&[("IMAGE", "/etc")], "not a name in its folder"),
        (&[("PATIENT", "P1")], "none of its records is an image"),
    ] {
        let error = films(records).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("DICOMDIR"), "{error}");
    }
    fs::write(&place, film().bytes()).unwrap();
    assert!(directory_films(&place).unwrap_err().to_string().contains("no directory records"));
    fs::write(&place, "text").unwrap();
    assert!(directory_films(&place).unwrap_err().to_string().contains("its first bytes are not those of DICOM"));
    assert!(matches!(directory_films(&folder.path().join("none")), Err(FilmError::Read { .. })));
}

#[test]
fn a_film_that_is_no_dicom_has_no_identity() {
    assert_eq!(Film::from_grey(Size { width: 2, height: 2 }, vec![0; 4]).unwrap().dicom(), None);
}
