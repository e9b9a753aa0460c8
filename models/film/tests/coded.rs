//! Coded films of which a part is missing: each coding, cut at half, with its second half zeroed, and with one block of a large film.
//! All are refused as damaged; sound ones with unusual bytes around them are read. coded/make.py wrote the films.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod dicom_files;

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_files::Dicom;
use onemark_film::{Film, FilmError};

const WIDTH: u16 = 96;
const HEIGHT: u16 = 80;
/// The allowed difference after lossy compression, in grey levels.
const LOSSY_LEVELS: u8 = 40;
/// The same, on average.
const LOSSY_MEAN: f64 = 3.0;
const END: [u8; 2] = [0xFF, 0xD9];

/// The JPEG of 8 bits, each with a way of coding of its own.
const JPEGS: [&str; 7] = [
    "baseline.jpg",
    "optimised.jpg",
    "restarts.jpg",
    "progressive.jpg",
    "progressive-restarts.jpg",
    "colour.jpg",
    "colour-progressive.jpg",
];
const TIFFS: [&str; 5] = ["lzw.tif", "deflate.tif", "packbits.tif", "jpeg.tif", "big.tif"];
const JPEG_2000: [&str; 4] = ["one-tile.j2k", "precincts.j2k", "lossy.j2k", "tiles.j2k"];

fn coded(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coded").join(name)).unwrap()
}

fn read(bytes: &[u8]) -> Result<Film, FilmError> {
    Film::from_bytes(bytes, "film.xyz")
}

#[track_caller]
fn assert_is_the_film(film: &Film, case: &str) {
    let expected = read(&coded("film.png")).unwrap();
    assert_eq!(film.size(), expected.size(), "{case}");
    assert!(film.warnings().iter().all(|warning| warning.is_about_spacing()), "{case}: {:?}", film.warnings());
    let apart: Vec<u8> = film.grey().iter().zip(expected.grey()).map(|(one, other)| one.abs_diff(*other)).collect();
    let mean = apart.iter().map(|apart| f64::from(*apart)).sum::<f64>() / apart.len() as f64;
    let most = *apart.iter().max().unwrap();
    assert!(most <= LOSSY_LEVELS && mean < LOSSY_MEAN, "{case}: {most} levels apart, {mean} on average");
}

#[track_caller]
fn assert_damaged(bytes: &[u8], case: &str) {
    let error = read(bytes).expect_err(case);
    assert!(matches!(error, FilmError::Damaged { .. }), "{case}: {error}");
}

fn find(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).position(|here| here == pattern).unwrap()
}

/// A stream of which some data are left from the offset `data` on: without its second half, with zeros there, and with other parts
/// missing. The end marker stays.
fn harmed(stream: &[u8], data: usize) -> Vec<(String, Vec<u8>)> {
    let end = stream.len() - END.len();
    let mut forms = Vec::new();
    for share in [1, 10, 25, 50, 75, 95] {
        let kept = data + (end - data) * share / 100;
        forms.push((format!("{share} % left"), [&stream[..kept], &END].concat()));
        forms.push((format!("{share} % left, then zeros"), [&stream[..kept], &vec![0; end - kept], &END].concat()));
    }
    forms
}

/// The offset of a JPEG's first scan, behind its header.
fn scan(jpeg: &[u8]) -> usize {
    let at = find(jpeg, &[0xFF, 0xDA]);
    at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]))
}

/// A JPEG that claims to be larger than it is.
fn claims(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let at = (0..jpeg.len()).find(|at| jpeg[*at] == 0xFF && matches!(jpeg[at + 1], 0xC0..=0xC3)).unwrap();
    let mut larger = jpeg.to_vec();
    larger[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    larger[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    larger
}

/// A DICOM film with this stream.
fn dicom(syntax: &'static str, bits: u16, stream: Vec<u8>) -> Dicom {
    let pixels = vec![0; usize::from(WIDTH) * usize::from(HEIGHT)];
    let (allocated, top) = if bits > 8 { (16, 65536.0) } else { (8, 256.0) };
    Dicom::new(WIDTH, bits, &pixels)
        .number(tags::BITS_ALLOCATED, allocated)
        .window("", &format!("{}", top / 2.0), &format!("{top}"))
        .encapsulated(syntax, vec![stream])
}

/// All streams of DICOM, as (name, transfer syntax, bits, stream, offset of the data).
fn streams() -> Vec<(&'static str, &'static str, u16, Vec<u8>, usize)> {
    let jpegs =
        JPEGS.iter().filter(|name| !name.starts_with("colour")).map(|name| (*name, uids::JPEG_EXTENDED12_BIT, 8));
    let lossless = [("lossless.jpg", uids::JPEG_LOSSLESS, 8), ("lossless16.jpg", uids::JPEG_LOSSLESS_SV1, 16)];
    let jpegs = jpegs.chain(lossless).map(|(name, syntax, bits)| {
        let stream = coded(name);
        let data = scan(&stream);
        (name, syntax, bits, stream, data)
    });
    let j2k = JPEG_2000.iter().map(|name| {
        let stream = coded(name);
        let data = find(&stream, &[0xFF, 0x93]) + 2;
        (*name, uids::JPEG2000, if *name == "tiles.j2k" { 8 } else { 16 }, stream, data)
    });
    let film = read(&coded("film.png")).unwrap();
    let mut jpeg_ls = Vec::new();
    let wide: Vec<u16> = film.grey().iter().map(|grey| u16::from(*grey) * 257).collect();
    jpegls::encode(&wide, WIDTH.into(), HEIGHT.into(), &mut jpeg_ls).unwrap();
    let data = scan(&jpeg_ls);
    jpegs.chain(j2k).chain([("JPEG-LS", uids::JPEGLS_LOSSLESS, 16, jpeg_ls, data)]).collect()
}

#[test]
fn whole_films_are_read() {
    for name in JPEGS.into_iter().chain(TIFFS) {
        assert_is_the_film(&read(&coded(name)).unwrap(), name);
    }
    for (name, syntax, bits, stream, _) in streams() {
        assert_is_the_film(&dicom(syntax, bits, stream).film(), name);
    }
}

#[test]
fn jpegs_without_a_part_are_refused() {
    for name in JPEGS {
        let jpeg = coded(name);
        for (how, bytes) in harmed(&jpeg, scan(&jpeg)) {
            assert_damaged(&bytes, &format!("{name}, {how}"));
        }
        assert_damaged(&claims(&jpeg, 65_500, 1_526), &format!("{name} as 100 megapixels"));
        assert_damaged(&claims(&jpeg, WIDTH, HEIGHT + 8 * 3), &format!("{name} with three more rows of blocks"));
        assert_damaged(&claims(&jpeg, WIDTH, HEIGHT - 8 * 3), &format!("{name} with more data than rows"));
    }
}

#[test]
fn dicom_films_without_a_part_are_refused() {
    for (name, syntax, bits, stream, data) in streams() {
        for (how, bytes) in harmed(&stream, data) {
            assert_damaged(&dicom(syntax, bits, bytes).bytes(), &format!("{name} in DICOM, {how}"));
        }
        if name.ends_with(".jpg") {
            let large = dicom(syntax, bits, claims(&stream, 10_000, 10_000));
            let large = large.number(tags::ROWS, 10_000).number(tags::COLUMNS, 10_000);
            assert_damaged(&large.bytes(), &format!("{name} in DICOM as 100 megapixels"));
        }
    }
}

/// Scans of their own may be missing as a whole.
#[test]
fn progressive_jpegs_without_their_last_scans_are_refused() {
    for name in ["progressive.jpg", "colour-progressive.jpg"] {
        let jpeg = coded(name);
        let scans: Vec<usize> = (0..jpeg.len() - 1).filter(|at| jpeg[*at..at + 2] == [0xFF, 0xDA]).collect();
        assert!(scans.len() > 3, "{name}");
        for start in &scans[1..] {
            // The tables before a scan may stay.
            assert_damaged(&[&jpeg[..*start], &END].concat(), &format!("{name} up to {start}"));
        }
    }
}

/// Packets may be missing as a whole, with all lengths right.
#[test]
fn jpeg_2000_without_its_last_packets_is_refused() {
    let stream = coded("lossy.j2k");
    let part = find(&stream, &[0xFF, 0x90]);
    let data = find(&stream, &[0xFF, 0x93]) + 2;
    // Only the first packet's header: an empty one.
    let mut empty = [&stream[..data], &[0], &END].concat();
    let length = (data + 1 - part) as u32;
    empty[part + 6..part + 10].copy_from_slice(&length.to_be_bytes());
    assert_damaged(&dicom(uids::JPEG2000, 16, empty.clone()).bytes(), "an empty packet");
    empty[part + 6..part + 10].fill(0);
    assert_damaged(&dicom(uids::JPEG2000, 16, empty).bytes(), "an empty packet of unstated length");
}

#[test]
fn jpeg_2000_without_some_of_its_tiles_is_refused() {
    let stream = coded("tiles.j2k");
    let first = find(&stream, &[0xFF, 0x90]);
    let length = u32::from_be_bytes(stream[first + 6..first + 10].try_into().unwrap()) as usize;
    let one = [&stream[..first + length], &END].concat();
    let refusal = dicom(uids::JPEG2000, 8, one.clone()).refusal();
    assert!(refusal.contains("damaged") && refusal.contains("data for 1 of its 9 tiles"), "{refusal}");
    // As many tiles of 1 px as 100 megapixels have.
    let mut many = one;
    for (at, number) in [(8, 10_000_u32), (12, 10_000), (24, 1), (28, 1)] {
        many[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    let many = dicom(uids::JPEG2000, 8, many).number(tags::ROWS, 5_000).number(tags::COLUMNS, 10_000);
    assert!(many.refusal().contains("100000000 tiles, and 1 to 65535 are possible"), "{}", many.refusal());
}

#[test]
fn jpeg_2000_of_very_many_pixels_is_not_read() {
    let mut stream = coded("one-tile.j2k");
    for at in [8, 12, 24, 28] {
        stream[at..at + 4].copy_from_slice(&10_000_u32.to_be_bytes());
    }
    let large = dicom(uids::JPEG2000, 16, stream).number(tags::ROWS, 10_000).number(tags::COLUMNS, 10_000).refusal();
    assert!(large.contains("JPEG 2000 of 10000x10000 px") && !large.contains("damaged"), "{large}");
}

/// RLE has no end marker, so its second half is zeros or is missing.
#[test]
fn rle_without_a_part_is_refused() {
    let film = read(&coded("film.png")).unwrap();
    let stream = rle_of(film.grey());
    assert_is_the_film(&dicom(uids::RLE_LOSSLESS, 8, stream.clone()).film(), "RLE");
    for share in [1, 25, 50, 75, 95] {
        let kept = 64 + (stream.len() - 64) * share / 100;
        assert_damaged(&dicom(uids::RLE_LOSSLESS, 8, stream[..kept].to_vec()).bytes(), "RLE, cut");
        let zeroed = [&stream[..kept], &vec![0; stream.len() - kept]].concat();
        assert_damaged(&dicom(uids::RLE_LOSSLESS, 8, zeroed).bytes(), "RLE, then zeros");
    }
}

#[test]
fn bytes_around_a_whole_stream_are_no_damage() {
    let thumbnail = coded("progressive.jpg");
    let segment =
        |marker: u8, body: &[u8]| [&[0xFF, marker], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat();
    for name in JPEGS {
        let jpeg = coded(name);
        let end = jpeg.len() - END.len();
        for (how, bytes) in [
            ("zeros behind the end", [&jpeg[..], &[0; 500]].concat()),
            ("FF behind the end", [&jpeg[..], &[0xFF; 500]].concat()),
            ("another picture behind the end", [&jpeg[..], &thumbnail].concat()),
            ("half a picture behind the end", [&jpeg[..], &thumbnail[..1000]].concat()),
            ("FF before the end", [&jpeg[..end], &[0xFF; 500], &END].concat()),
            ("zeros before the end", [&jpeg[..end], &[0; 4], &END].concat()),
            ("a picture in the header", [&jpeg[..2], &segment(0xE1, &thumbnail), &jpeg[2..]].concat()),
            ("a comment", [&jpeg[..2], &segment(0xFE, b"\xFF\xDA\xFF\xD9"), &jpeg[2..]].concat()),
        ] {
            assert_is_the_film(&read(&bytes).unwrap(), &format!("{name}, {how}"));
        }
    }
    for (name, syntax, bits, stream, _) in streams() {
        for padding in [vec![0; 2], vec![0; 300], vec![0xFF; 2], vec![0xFF; 300]] {
            let film = dicom(syntax, bits, [&stream[..], &padding].concat()).film();
            assert_is_the_film(&film, &format!("{name}, {} behind its end", padding[0]));
        }
    }
}

/// RLE of 8 bits: a segment of literal bytes.
fn rle_of(grey: &[u8]) -> Vec<u8> {
    let mut header = [0_u32; 16];
    header[..2].copy_from_slice(&[1, 64]);
    let packed = grey.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat());
    header.iter().flat_map(|word| word.to_le_bytes()).chain(packed).collect()
}

/// The name, the transfer syntax, the bits and a stream of each coding.
fn one_of_each() -> Vec<(&'static str, &'static str, u16, Vec<u8>)> {
    let film = read(&coded("film.png")).unwrap();
    let find = |name: &str| streams().into_iter().find(|(stream, ..)| *stream == name).unwrap().3;
    vec![
        ("JPEG", uids::JPEG_BASELINE8_BIT, 8, coded("baseline.jpg")),
        ("JPEG", uids::JPEG_LOSSLESS_SV1, 16, coded("lossless16.jpg")),
        ("JPEG-LS", uids::JPEGLS_LOSSLESS, 16, find("JPEG-LS")),
        ("JPEG 2000", uids::JPEG2000, 16, coded("one-tile.j2k")),
        ("RLE", uids::RLE_LOSSLESS, 8, rle_of(film.grey())),
    ]
}

#[test]
fn streams_of_another_coding_than_stated_are_named() {
    for (found, _, bits, stream) in one_of_each() {
        for (stated, syntax, ..) in one_of_each().into_iter().filter(|(stated, ..)| *stated != found) {
            let said = dicom(syntax, bits, stream.clone()).refusal();
            assert!(said.contains(&format!("its transfer syntax says {stated}, but its pixels are {found}")), "{said}");
            // Also if the colours are none of that coding.
            let said = in_colours("YBR_FULL_422", syntax, stream.clone()).refusal();
            assert!(said.contains(&format!("its transfer syntax says {stated}, but its pixels are {found}")), "{said}");
        }
    }
    let mut file = dicom(uids::JPEG2000, 16, [&b"\0\0\0\x0CjP  \r\n\x87\n"[..], &coded("one-tile.j2k")].concat());
    assert!(file.refusal().contains("its start marker is missing"));
    file.syntax = uids::JPEGLS_LOSSLESS;
    assert!(file.refusal().contains("its transfer syntax says JPEG-LS, but its pixels are JPEG 2000"));
}

#[test]
fn further_pictures_are_not_dropped() {
    for (name, syntax, bits, stream) in one_of_each() {
        let fragments = |parts: &[&[u8]]| {
            let film = dicom(syntax, bits, Vec::new());
            film.encapsulated(syntax, parts.iter().map(|part| part.to_vec()).collect())
        };
        for padding in [&[][..], &[0], &[0; 9]] {
            let whole = [&stream[..], padding].concat();
            let said = fragments(&[&whole, &whole, &whole]).refusal();
            assert!(
                said.contains("it has 3 pictures, though it states one frame") && !said.contains("damaged"),
                "{name}: {said}"
            );
            let (start, rest) = stream.split_at(stream.len() / 4 * 2);
            let said = fragments(&[start, &[rest, padding].concat(), &whole]).refusal();
            assert!(said.contains("it has 2 pictures"), "{name}: {said}");
        }
        // One picture in many fragments, some of them empty.
        let parts: Vec<&[u8]> = stream.chunks(32).collect();
        assert_is_the_film(&fragments(&[&[&[][..]], &parts[..], &[&[]]].concat()).film(), name);
    }
}

#[test]
fn what_is_not_read_is_named_without_damage() {
    let twelve = coded("twelve.jpg");
    let says = |bytes: &[u8], words: &[&str]| {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, FilmError::Unsupported { .. }), "{error}");
        assert!(words.iter().all(|words| error.to_string().contains(words)), "{error}");
    };
    says(&twelve, &["its JPEG has 12 bits per sample", "save it as"]);
    says(&dicom(uids::JPEG_EXTENDED12_BIT, 12, twelve).bytes(), &["its JPEG has 12 bits per sample", "export it as"]);
    says(&coded("lossless.jpg"), &["it is a lossless JPEG"]);
    let mut arithmetic = coded("baseline.jpg");
    let at = find(&arithmetic, &[0xFF, 0xC0]);
    arithmetic[at + 1] = 0xC9;
    says(&arithmetic, &["arithmetic coding"]);
    says(&dicom(uids::JPEG_BASELINE8_BIT, 8, coded("colour.jpg")).bytes(), &["holds colours, not grey"]);
}

/// A DICOM film with three samples per pixel, of these colours.
fn in_colours(photometric: &str, syntax: &'static str, stream: Vec<u8>) -> Dicom {
    dicom(syntax, 8, stream)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric)
        .number(tags::SAMPLES_PER_PIXEL, 3)
}

/// Secondary captures of grey films often are in colours, and what is grey in them is read.
#[test]
fn grey_films_in_compressed_colours_are_read() {
    for (name, photometric, syntax) in [
        ("colour.jpg", "RGB", uids::JPEG_BASELINE8_BIT),
        ("colour.jpg", "YBR_FULL_422", uids::JPEG_BASELINE8_BIT),
        ("colour-progressive.jpg", "YBR_FULL", uids::JPEG_EXTENDED12_BIT),
        ("colour-lossless.jpg", "RGB", uids::JPEG_LOSSLESS_SV1),
        ("colour.j2k", "RGB", uids::JPEG2000_LOSSLESS),
        ("colour.j2k", "YBR_RCT", uids::JPEG2000_LOSSLESS),
        ("colour-lossy.j2k", "YBR_ICT", uids::JPEG2000),
    ] {
        let film = in_colours(photometric, syntax, coded(name)).film();
        assert_is_the_film(&film, &format!("{name} as {photometric}"));
    }
    for (name, syntax) in [("colour.jpg", uids::JPEG_BASELINE8_BIT), ("colour.j2k", uids::JPEG2000)] {
        let stream = coded(name);
        let data = if name.ends_with("jpg") { scan(&stream) } else { find(&stream, &[0xFF, 0x93]) + 2 };
        for (how, bytes) in harmed(&stream, data) {
            assert_damaged(&in_colours("RGB", syntax, bytes).bytes(), &format!("{name} in DICOM, {how}"));
        }
    }
}

#[test]
fn compressed_colours_that_are_not_grey_are_refused_by_name() {
    let refused = |film: &Dicom, words: &str| {
        let refusal = film.refusal();
        assert!(refusal.contains(words) && !refusal.contains("damaged"), "{words}: {refusal}");
    };
    let coloured = in_colours("YBR_RCT", uids::JPEG2000_LOSSLESS, coded("coloured.j2k"));
    refused(&coloured, "its pixels are YBR_RCT, not grey (1 of 7680 are coloured)");
    let warm = image::RgbImage::from_fn(WIDTH.into(), HEIGHT.into(), |x, y| image::Rgb([200, (x + y) as u8, 0]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    warm.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    refused(
        &in_colours("YBR_FULL_422", uids::JPEG_BASELINE8_BIT, jpeg.into_inner()),
        "its pixels are YBR_FULL_422, not grey",
    );
    // Only what is marked is counted, whatever the file states about the colours.
    let marked = image::RgbImage::from_fn(WIDTH.into(), HEIGHT.into(), |x, y| {
        image::Rgb(if x < 8 && y < 8 { [250, 0, 0] } else { [(x + y) as u8; 3] })
    });
    let mut jpeg = std::io::Cursor::new(Vec::new());
    marked.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    for photometric in ["RGB", "YBR_FULL", "YBR_FULL_422"] {
        let refusal = in_colours(photometric, uids::JPEG_BASELINE8_BIT, jpeg.get_ref().clone()).refusal();
        let count = refusal.split("not grey (").nth(1).and_then(|rest| rest.split(' ').next());
        let count: u32 = count.unwrap().parse().unwrap();
        assert!((64..=400).contains(&count), "{refusal}");
    }
    // Programs disagree on how a JPEG says what it holds.
    let grey = in_colours("YBR_FULL", uids::JPEG_LOSSLESS_SV1, coded("colour-lossless.jpg")).film();
    assert_is_the_film(&grey, "RGB as YBR_FULL");
    // A stream that has other samples than the header says.
    refused(
        &dicom(uids::JPEG2000, 8, coded("colour.j2k")),
        "its JPEG 2000 has 3 samples per pixel, and its header says 1",
    );
    refused(&in_colours("RGB", uids::JPEG2000, coded("tiles.j2k")), "has 1 samples per pixel, and its header says 3");
    let grey_jpeg = in_colours("RGB", uids::JPEG_BASELINE8_BIT, coded("baseline.jpg")).refusal();
    assert!(grey_jpeg.contains("it has 1 samples per pixel, and its header says 3"), "{grey_jpeg}");
    // Colours of a lower resolution, and numbers of many bits.
    for (at, value, words) in
        [(46, 2, "samples of several kinds"), (49, 2, "samples of several kinds"), (45, 11, "samples of several kinds")]
    {
        let mut stream = coded("colour.j2k");
        stream[at] = value;
        refused(&in_colours("RGB", uids::JPEG2000, stream), words);
    }
    let mut wide = coded("one-tile.j2k");
    wide[42] = 19;
    refused(&dicom(uids::JPEG2000, 16, wide), "its JPEG 2000 has 20 bits per sample, where up to 16 are read");
    // No decoder reads JPEG-LS of several components.
    let film = read(&coded("film.png")).unwrap();
    let mut jpeg_ls = Vec::new();
    let wide: Vec<u16> = film.grey().iter().map(|grey| u16::from(*grey) * 257).collect();
    jpegls::encode(&wide, WIDTH.into(), HEIGHT.into(), &mut jpeg_ls).unwrap();
    refused(&in_colours("RGB", uids::JPEGLS_LOSSLESS, jpeg_ls.clone()), "its pixels are RGB, not grey");
    let frame = find(&jpeg_ls, &[0xFF, 0xF7]);
    jpeg_ls[frame + 9] = 3;
    refused(&dicom(uids::JPEGLS_LOSSLESS, 16, jpeg_ls), "its JPEG-LS stream is not read");
}

/// Sizes and precincts whose products are no numbers of 64 bits.
#[test]
fn jpeg_2000_of_absurd_precincts_is_refused() {
    let mut stream = coded("precincts.j2k");
    for at in [8, 12, 24, 28] {
        stream[at..at + 4].fill(0xFF);
    }
    let style = find(&stream, &[0xFF, 0x52]);
    assert_eq!(stream[style + 4] & 1, 1, "it has precincts");
    let levels = usize::from(stream[style + 9]);
    stream[style + 14..=style + 14 + levels].fill(0);
    let refusal = dicom(uids::JPEG2000, 16, stream).refusal();
    assert!(
        refusal.contains("its header says 96x80 px and its compressed stream 4294967295x4294967295 px"),
        "{refusal}"
    );
}

/// Progressive scans that say one bit of one number each: 63 numbers of two bits are more than 100 scans.
#[test]
fn scans_are_limited() {
    let jpeg = coded("progressive.jpg");
    let (first, data) = (find(&jpeg, &[0xFF, 0xDA]), scan(&jpeg));
    let second = data + find(&jpeg[data..], &[0xFF, 0xC4]);
    // Each block's code for nothing more, of one bit: as many zeros as the film has blocks.
    let codes = [&[0xFF, 0xC4, 0, 20, 0x10, 1][..], &[0; 15], &[0]].concat();
    let scans = (1..64).flat_map(|number| {
        let scan = |low: u8| [&[0xFF, 0xDA, 0, 8, 1, 1, 0, number, number, low][..], &[0; 96 * 80 / 64 / 8]].concat();
        [scan(0x01), scan(0x10)].concat()
    });
    let many = [&jpeg[..second], &codes, &scans.collect::<Vec<u8>>(), &END].concat();
    assert!(jpeg[first..data].starts_with(&[0xFF, 0xDA, 0, 8, 1, 1]), "the first scan says the means of component 1");
    let error = read(&many).unwrap_err();
    assert!(
        matches!(error, FilmError::Unsupported { .. }) && error.to_string().contains("more than 100 scans"),
        "{error}"
    );
}

#[test]
fn tiffs_without_a_part_are_refused() {
    for name in TIFFS {
        let tiff = coded(name);
        // The strips lie behind the tags, one after another.
        let strips = tiff.len() / 4;
        for share in [30, 50, 75, 95] {
            let kept = strips + (tiff.len() - strips) * share / 100;
            assert_damaged(&tiff[..kept], &format!("{name}, {share} % left"));
            let zeroed = [&tiff[..kept], &vec![0; tiff.len() - kept]].concat();
            assert_damaged(&zeroed, &format!("{name}, {share} % left, then zeros"));
        }
    }
}
