//! Films as programs write them: depth, transparency, orientation, pages, films that show nothing, and what is no file.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::error::Error as _;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use onemark_film::{Film, FilmError, FilmWarning, Size, Spacing};

const WIDTH: u32 = 40;
const HEIGHT: u32 = 30;

/// The grey of a film that looks different from every side.
fn grey(x: u32, y: u32) -> u8 {
    (4 * x + 3 * y) as u8
}

fn film() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([grey(x, y)]))
}

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn read(bytes: &[u8]) -> Result<Film, FilmError> {
    Film::from_bytes(bytes, "film.xyz")
}

fn coded(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coded").join(name)).unwrap()
}

fn said(film: &Film) -> Vec<String> {
    film.warnings().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refusal(bytes: &[u8], words: &[&str]) {
    let error = read(bytes).unwrap_err();
    assert!(matches!(error, FilmError::Unsupported { .. }), "{error}");
    assert!(words.iter().all(|words| error.to_string().contains(words)), "{words:?}: {error}");
}

/// A film of 16 bits with values from 0 to `last`, and `marks` pixels of 65535.
fn deep(last: u16, marks: u32) -> Vec<u8> {
    let value = |x: u32, y: u32| (u32::from(last) * (x + WIDTH * y) / (WIDTH * HEIGHT - 1)) as u16;
    let picture =
        ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Luma([if x < marks && y == 0 { 65_535 } else { value(x, y) }]));
    encode(&DynamicImage::ImageLuma16(picture), ImageFormat::Png)
}

#[test]
fn sixteen_bits_are_read_with_as_many_as_they_use() {
    let whole = read(&deep(65_535, 0)).unwrap();
    assert_eq!(said(&whole), [""; 0]);
    for bits in 8..16 {
        let brightest = (1_u32 << bits) - 1;
        let film = read(&deep(brightest as u16, 0)).unwrap();
        assert_eq!(said(&film), [format!("its brightest pixel is {brightest} of 65535: it is read as {bits} bits")]);
        let apart = film.grey().iter().zip(whole.grey()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
        assert!(apart <= 1, "{bits} bits: {apart} levels apart");
    }
    // A sound film need not be white anywhere.
    assert_eq!(said(&read(&deep(40_000, 0)).unwrap()), [""; 0]);
}

#[test]
fn marks_far_above_a_film_do_not_make_it_black() {
    let film = read(&deep(4095, 5)).unwrap();
    let expected = "but for 5 pixels of 65535, its brightest pixel is 4095: it is read as 12 bits";
    assert_eq!(said(&film), [expected]);
    assert_eq!((film.grey()[0], film.grey()[4], film.grey()[5], film.grey().last()), (255, 255, 1, Some(&255)));
    // Black and white alone are what they are.
    assert_eq!(read(&deep(0, WIDTH)).unwrap().grey()[..41], [vec![255; 40], vec![0]].concat());
}

#[test]
fn white_may_be_zero() {
    // 12 bits in 16, stored the other way round.
    let film = read(&coded("white-is-zero.tif")).unwrap();
    assert_eq!(said(&film), ["its brightest pixel is 3775 of 65535: it is read as 12 bits"]);
    let expected = read(&coded("film.png")).unwrap();
    let apart = film.grey().iter().zip(expected.grey()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
    assert!(apart <= 1, "{apart} levels apart");
}

#[test]
fn alpha_is_left_out_and_named() {
    let pictures = |alpha: u8| {
        let wide = u16::from(alpha) * 257;
        let of_grey = |x, y| u16::from(grey(x, y)) * 257;
        [
            GrayAlphaImage::from_fn(WIDTH, HEIGHT, |x, y| LumaA([grey(x, y), alpha])).into(),
            ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| LumaA([of_grey(x, y), wide])).into(),
            ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Rgba([grey(x, y), grey(x, y), grey(x, y), alpha])).into(),
            ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Rgba([of_grey(x, y), of_grey(x, y), of_grey(x, y), wide]))
                .into(),
        ]
    };
    for (alpha, warnings) in [(255, 0), (0, 1)] {
        for picture in pictures(alpha) {
            let picture: DynamicImage = picture;
            let film = read(&encode(&picture, ImageFormat::Png)).unwrap();
            assert_eq!(film.grey(), self::film().as_raw(), "{:?}", picture.color());
            assert_eq!(film.warnings(), &[FilmWarning::Transparent][..warnings]);
        }
    }
    // A picture in the alpha channel alone shows nothing, and that is said.
    let alone = GrayAlphaImage::from_fn(WIDTH, HEIGHT, |x, y| LumaA([0, grey(x, y)]));
    let film = read(&encode(&alone.into(), ImageFormat::Png)).unwrap();
    assert_eq!(said(&film).len(), 2, "{film:?}");
    assert!(said(&film)[1].contains("all of it is one grey (0): it shows nothing"));
}

#[test]
fn colours_are_named() {
    let warm = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([grey(x, y), grey(x, y) / 2, 0]));
    let film = read(&encode(&warm.into(), ImageFormat::Png)).unwrap();
    assert!(film.warnings().contains(&FilmWarning::Colours), "{film:?}");
    // Scanners and JPEG make grey a little coloured.
    let nearly =
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([grey(x, y), grey(x, y).saturating_sub(6), grey(x, y) | 1]));
    assert_eq!(said(&read(&encode(&nearly.into(), ImageFormat::Png)).unwrap()), [""; 0]);
    assert_eq!(said(&read(&coded("palette.png")).unwrap()), [""; 0]);
}

#[test]
fn other_numbers_are_named_without_damage() {
    refusal(
        &coded("bits32.tif"),
        &["its pixels are numbers of 32 bits", "save it as grey PNG or TIFF of 8 or 16 bits"],
    );
    refusal(&coded("signed.tif"), &["its pixels are signed numbers of 16 bits"]);
    refusal(&coded("palette.tif"), &["its pixels are colours of a palette"]);
    let float = ImageBuffer::from_pixel(WIDTH, HEIGHT, Rgb([0.5_f32; 3]));
    refusal(
        &encode(&DynamicImage::ImageRgb32F(float), ImageFormat::Tiff),
        &["its pixels are floating-point numbers of 32 bits"],
    );
    let mut bmp = encode(&DynamicImage::from(film()), ImageFormat::Bmp);
    bmp[30] = 1;
    refusal(&bmp, &["a BMP with run-length coding"]);
}

#[test]
fn several_pictures_are_refused_by_name() {
    refusal(&coded("pages.tif"), &["it has 2 pages", "export the one that you mean"]);
    refusal(&coded("animation.png"), &["it has 2 pictures, an animation", "export the one that you mean"]);
    let film = read(&coded("thumbnail-second.tif")).unwrap();
    assert_eq!(film, read(&coded("film.png")).unwrap());
}

/// A JPEG with an index of pictures of these kinds.
fn multi_picture(kinds: &[u32]) -> Vec<u8> {
    let jpeg = encode(&film().into(), ImageFormat::Jpeg);
    let mut index = b"MPF\0MM\0*\0\0\0\x08\0\x01\xB0\x02\0\x07".to_vec();
    index.extend((16 * kinds.len() as u32).to_be_bytes());
    index.extend(26_u32.to_be_bytes());
    index.extend([0; 4]);
    index.extend(kinds.iter().flat_map(|kind| [&kind.to_be_bytes()[..], &[0; 12]].concat()));
    let length = (index.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE2], &length, &index, &jpeg[2..], &jpeg].concat()
}

#[test]
fn jpegs_of_several_pictures_are_refused_unless_one_is_the_film() {
    refusal(&multi_picture(&[0x2002_0002, 0x0002_0002]), &["it has 2 pictures", "export the one that you mean"]);
    for previews in [&[0x2003_0000, 0x0001_0001][..], &[0x2003_0000, 0], &[]] {
        assert_eq!(said(&read(&multi_picture(previews)).unwrap()), [""; 0]);
    }
}

/// The body of an Exif block with this orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    tiff
}

/// A chunk of a PNG.
fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let checked = [&kind[..], body].concat();
    let checksum = checked.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 })
    });
    [&(body.len() as u32).to_be_bytes()[..], &checked, &(!checksum).to_be_bytes()].concat()
}

/// A TIFF of 8-bit grey, little endian, with these tags of 16 bits beside the necessary ones.
fn tiff(picture: &GrayImage, more: &[(u16, u16)]) -> Vec<u8> {
    let pixels = picture.as_raw();
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    let tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)];
    let mut tags = [&tags[..], &[(279, pixels.len() as u16)], more].concat();
    tags.sort_unstable();
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((8 + pixels.len() as u32).to_le_bytes());
    bytes.extend(pixels);
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        bytes.extend([tag.to_le_bytes(), [3, 0], [1, 0], [0, 0], value.to_le_bytes(), [0, 0]].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// The same film in each format that knows orientation.
fn oriented(picture: &GrayImage, tag: u8) -> Vec<(&'static str, Vec<u8>)> {
    let png = encode(&picture.clone().into(), ImageFormat::Png);
    let jpeg = encode(&picture.clone().into(), ImageFormat::Jpeg);
    let (exif, header, end) = (exif(tag), 8 + 25, png.len() - 12);
    let segment = [b"Exif\0\0", &exif[..]].concat();
    let length = (segment.len() as u16 + 2).to_be_bytes();
    vec![
        ("PNG", [&png[..header], &chunk(b"eXIf", &exif), &png[header..]].concat()),
        ("PNG, behind the pixels", [&png[..end], &chunk(b"eXIf", &exif), &png[end..]].concat()),
        ("JPEG", [&jpeg[..2], &[0xFF, 0xE1], &length, &segment, &jpeg[2..]].concat()),
        ("TIFF", tiff(picture, &[(274, tag.into())])),
    ]
}

/// The place in the file of the upright film's pixel, by the meaning of the tag.
fn stored_at(tag: u8, x: u32, y: u32) -> (u32, u32) {
    let (right, bottom) = (WIDTH - 1, HEIGHT - 1);
    match tag {
        2 => (right - x, y),
        3 => (right - x, bottom - y),
        4 => (x, bottom - y),
        5 => (y, x),
        6 => (y, bottom - x),
        7 => (right - y, bottom - x),
        8 => (right - y, x),
        _ => (x, y),
    }
}

#[test]
fn orientation_tags_turn_a_film_upright() {
    for tag in 0..=9_u8 {
        let lies = (5..=8).contains(&tag);
        let (width, height) = if lies { (HEIGHT, WIDTH) } else { (WIDTH, HEIGHT) };
        let expected = GrayImage::from_fn(width, height, |x, y| {
            let (x, y) = stored_at(tag, x, y);
            Luma([grey(x, y)])
        });
        for (format, bytes) in oriented(&film(), tag) {
            let film = read(&bytes).unwrap();
            assert_eq!(film.size(), Size { width, height }, "{format}, {tag}");
            let apart =
                film.grey().iter().zip(expected.as_raw()).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
            assert!(apart <= if format == "JPEG" { 3 } else { 0 }, "{format}, {tag}: {apart} levels apart");
            let size = film.size();
            let expected = [FilmWarning::Turned { tag, size }];
            assert_eq!(film.warnings(), if (2..=8).contains(&tag) { &expected[..] } else { &[] }, "{format}");
        }
    }
}

/// The type of the entry with this tag in a directory, and of 32 bits or 8.
fn with_type(mut tiff: Vec<u8>, tag: u16, kind: u8) -> Vec<u8> {
    let entry = [&tag.to_le_bytes()[..], &[3, 0, 1, 0, 0, 0]].concat();
    let at = tiff.windows(8).rposition(|here| here == entry).unwrap();
    tiff[at + 2] = kind;
    tiff
}

/// Programs also write the orientation tag as a number of 8 or 32 bits.
#[test]
fn orientation_tags_of_any_width_are_followed() {
    for kind in [1, 3, 4] {
        let film = read(&with_type(tiff(&film(), &[(274, 6)]), 274, kind)).unwrap();
        let size = Size { width: HEIGHT, height: WIDTH };
        assert_eq!(film.warnings(), [FilmWarning::Turned { tag: 6, size }], "type {kind} in TIFF");
        // Exif is a TIFF too; here with the first byte last.
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\0\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        exif[12] = kind;
        let png = encode(&self::film().into(), ImageFormat::Png);
        let png = read(&[&png[..33], &chunk(b"eXIf", &exif), &png[33..]].concat()).unwrap();
        assert_eq!(png.warnings(), [FilmWarning::Turned { tag: 6, size }], "type {kind} in Exif");
    }
}

/// A PNG with this chunk in front of its pixels.
fn png_with(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let png = encode(&film().into(), ImageFormat::Png);
    [&png[..33], &chunk(kind, body), &png[33..]].concat()
}

/// A JPEG with these bodies of APP1 segments.
fn jpeg_with(bodies: &[&[u8]]) -> Vec<u8> {
    let jpeg = encode(&film().into(), ImageFormat::Jpeg);
    let segments =
        bodies.iter().flat_map(|body| [&[0xFF, 0xE1][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat());
    [&jpeg[..2], &segments.collect::<Vec<_>>(), &jpeg[2..]].concat()
}

/// A TIFF with this XMP in tag 700.
fn tiff_with(xmp: &[u8]) -> Vec<u8> {
    let mut tiff = tiff(&film(), &[(700, 0)]);
    let entry = tiff.windows(4).rposition(|here| here == [0xBC, 2, 3, 0]).unwrap();
    let place = tiff.len() as u32;
    tiff[entry + 2] = 1;
    tiff[entry + 4..entry + 8].copy_from_slice(&(xmp.len() as u32).to_le_bytes());
    tiff[entry + 8..entry + 12].copy_from_slice(&place.to_le_bytes());
    [&tiff[..], xmp].concat()
}

#[test]
fn orientations_that_are_not_followed_are_named() {
    let said_of = |bytes: Vec<u8>, case: &str| {
        let film = read(&bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(film.size(), Size { width: WIDTH, height: HEIGHT }, "{case}");
        said(&film)
    };
    let deflated = |text: &[u8]| {
        let mut deflated = flate2::read::ZlibEncoder::new(text, flate2::Compression::default());
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut deflated, &mut bytes).unwrap();
        bytes
    };
    let raw = |name: &str, profile: &[u8]| {
        let hex: Vec<String> = profile.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\n{name}\n{:8}\n{}\n", profile.len(), hex.concat().replace("08", "08\n")).into_bytes()
    };
    let app1 = [b"Exif\0\0", &exif(6)[..]].concat();
    for (tag, form) in
        [(6, "tiff:Orientation=\"6\""), (3, "<tiff:Orientation> 3 </tiff:Orientation>"), (8, "tiff:Orientation = '8'")]
    {
        let xmp = format!("<x:xmpmeta><rdf:RDF><rdf:Description {form}/></rdf:RDF></x:xmpmeta>").into_bytes();
        let packet = [b"http://ns.adobe.com/xap/1.0/\0", &xmp[..]].concat();
        let expected =
            [format!("its XMP states the orientation {tag}, which was not followed: check that it is upright")];
        for (case, bytes) in [
            ("JPEG", jpeg_with(&[&packet])),
            ("PNG", png_with(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", &xmp[..]].concat())),
            ("PNG, deflated", png_with(b"iTXt", &[b"XML:com.adobe.xmp\0\x01\0en\0\0", &deflated(&xmp)[..]].concat())),
            (
                "PNG, raw profile",
                png_with(b"zTXt", &[b"Raw profile type xmp\0\0", &deflated(&raw("xmp", &xmp))[..]].concat()),
            ),
            (
                "PNG, raw APP1",
                png_with(b"tEXt", &[b"Raw profile type APP1\0", &raw("generic profile", &packet)[..]].concat()),
            ),
            ("TIFF", tiff_with(&xmp)),
        ] {
            assert_eq!(said_of(bytes, case), expected, "{case}");
        }
        // Both say the same, or each another one; then the tag is followed.
        let film = read(&jpeg_with(&[&app1, &packet])).unwrap();
        assert_eq!(film.size(), Size { width: HEIGHT, height: WIDTH });
        assert_eq!(said(&film).len(), if tag == 6 { 1 } else { 2 }, "{:?}", film.warnings());
    }
    let expected = ["its raw Exif profile states the orientation 6, which was not followed: check that it is upright"];
    for (name, profile) in [("exif", &app1[..]), ("exif", &app1[6..]), ("APP1", &app1)] {
        let keyword = format!("Raw profile type {name}\0");
        let text = raw(name, profile);
        let compressed = [keyword.as_bytes(), b"\0", &deflated(&text)].concat();
        assert_eq!(said_of(png_with(b"zTXt", &compressed), name), expected);
        assert_eq!(said_of(png_with(b"tEXt", &[keyword.as_bytes(), &text].concat()), name), expected);
    }
    // An upright film, other XMP, and texts that are cut say nothing.
    for xmp in ["tiff:Orientation=\"1\"", "exif:Orientation=\"6\"", "tiff:Orientation", "tiff:Orientation=\"\"", ""] {
        assert_eq!(said_of(tiff_with(format!("{xmp}     ").as_bytes()), xmp), [""; 0]);
        assert_eq!(said_of(png_with(b"iTXt", format!("XML:com.adobe.xmp\0{xmp}").as_bytes()), xmp), [""; 0]);
        assert_eq!(said_of(png_with(b"zTXt", format!("Raw profile type exif\0{xmp}").as_bytes()), xmp), [""; 0]);
    }
}

#[test]
fn bits_in_reverse_order_are_refused() {
    assert_eq!(said(&read(&tiff(&film(), &[(266, 1)])).unwrap()), [""; 0]);
    for kind in [1, 3, 4] {
        let reversed = with_type(tiff(&film(), &[(266, 2)]), 266, kind);
        refusal(&reversed, &["the bits of its bytes are in another order (FillOrder 2)", "save it as grey PNG"]);
    }
}

#[test]
fn grey_tiffs_with_further_samples_are_refused_by_name() {
    let picture = GrayImage::from_fn(2 * WIDTH, HEIGHT, |x, y| Luma([if x % 2 == 0 { grey(x / 2, y) } else { 255 }]));
    for (extra, name) in [(1, "alpha"), (2, "alpha"), (0, "another sample")] {
        let mut two = tiff(&picture, &[(338, extra)]);
        let directory = 8 + picture.as_raw().len() + 2;
        for entry in two[directory..].chunks_exact_mut(12) {
            match u16::from_le_bytes([entry[0], entry[1]]) {
                256 => entry[8] = WIDTH as u8,
                277 => entry[8] = 2,
                258 => entry[4..12].copy_from_slice(&[2, 0, 0, 0, 8, 0, 8, 0]),
                _ => {}
            }
        }
        refusal(&two, &[&format!("its pixels are grey with {name}"), "save it as grey PNG or TIFF"]);
    }
}

#[test]
fn a_png_has_the_right_checksum_behind_its_pixels() {
    let png = encode(&film().into(), ImageFormat::Png);
    let at = png.windows(4).position(|kind| kind == b"IDAT").unwrap();
    let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
    let (data, rest) = (&png[at + 4..at + 4 + length], &png[at + 8 + length..]);
    let with = |parts: &[&[u8]]| {
        let parts = parts.iter().flat_map(|part| chunk(b"IDAT", part)).collect::<Vec<_>>();
        read(&[&png[..at - 4], &parts, rest].concat())
    };
    // One stream, in as many chunks as its writer likes.
    assert_eq!(with(&[&data[..7], &[], &data[7..length - 2], &data[length - 2..]]).unwrap().grey(), film().as_raw());
    let mut wrong = data.to_vec();
    wrong[length - 1] ^= 1;
    for (case, parts) in [("wrong", &wrong[..]), ("missing", &data[..length - 4]), ("cut", &data[..length - 1])] {
        let error = with(&[parts]).unwrap_err();
        assert!(matches!(error, FilmError::Damaged { .. }), "{case}: {error}");
        assert!(error.to_string().contains("checksum is wrong or missing"), "{case}: {error}");
    }
}

#[test]
fn films_that_show_nothing_are_named() {
    let black = GrayImage::new(WIDTH, HEIGHT);
    let mut label = black.clone();
    label.put_pixel(3, 3, Luma([255]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Tiff] {
        let film = read(&encode(&black.clone().into(), format)).unwrap();
        assert_eq!(film.warnings(), [FilmWarning::OneGrey { grey: 0, others: 0 }], "{format:?}");
    }
    let film = read(&encode(&label.into(), ImageFormat::Png)).unwrap();
    assert_eq!(film.warnings(), [FilmWarning::OneGrey { grey: 0, others: 1 }]);
    let film = read(&encode(&GrayImage::new(1, 1).into(), ImageFormat::Png)).unwrap();
    assert!(said(&film)[0].contains("it has 1x1 px: too few to show anything"), "{film:?}");
    // A film whose second half is zeros looks whole to a format without coding.
    let half = GrayImage::from_fn(WIDTH, 64, |x, y| Luma([if y < 32 { grey(x, y) } else { 0 }]));
    for bytes in [tiff(&half, &[]), encode(&half.clone().into(), ImageFormat::Tiff)] {
        assert_eq!(read(&bytes).unwrap().warnings(), [FilmWarning::LastRows { rows: 32, of: 64, grey: 0 }]);
    }
}

/// Most BMP store the lowest row first, so the end of the file is at the top of the film.
#[test]
fn the_lost_end_of_a_bmp_is_at_its_top() {
    let half = |upper: bool| {
        GrayImage::from_fn(WIDTH, 64, |x, y| Luma([if (y < 32) == upper { 0 } else { 1 + grey(x, y % 32) }]))
    };
    let lost = ["the last 32 of the 64 rows in its file are all one grey (0): check that no part of it is missing"];
    for (upper_is_black, negative_height) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut bmp = encode(&half(upper_is_black).into(), ImageFormat::Bmp);
        if negative_height {
            // Rows from the top to the bottom: the film is upside down, and its file is the same.
            bmp[22..26].copy_from_slice(&(-64_i32).to_le_bytes());
        }
        let film = read(&bmp).unwrap();
        assert_eq!(film.grey()[0] == 0, upper_is_black != negative_height);
        assert_eq!(said(&film), lost[..usize::from(upper_is_black)], "{upper_is_black} {negative_height}");
    }
}

#[test]
fn what_follows_the_end_of_a_png_is_no_part_of_it() {
    let png = encode(&film().into(), ImageFormat::Png);
    let other = encode(&GrayImage::new(3, 3).into(), ImageFormat::Png);
    for tail in [
        chunk(b"eXIf", &exif(6)),
        chunk(b"acTL", &[0, 0, 0, 9, 0, 0, 0, 0]),
        coded("animation.png"),
        other,
        vec![0; 99],
        b"\0\0".to_vec(),
    ] {
        let film = read(&[&png[..], &tail].concat()).unwrap();
        assert!(film.grey() == self::film().as_raw(), "the tail changed the pixels");
        assert_eq!(said(&film), [""; 0]);
    }
}

/// The film in each format that states a resolution, with this one.
fn with_resolution(x: u16, y: u16) -> Vec<(&'static str, Vec<u8>)> {
    let picture = film();
    let png = encode(&picture.clone().into(), ImageFormat::Png);
    let sides = [u32::from(x).to_be_bytes(), u32::from(y).to_be_bytes()].concat();
    let phys = |unit: u8| [&png[..33], &chunk(b"pHYs", &[&sides[..], &[unit]].concat()), &png[33..]].concat();
    let mut jpeg = encode(&picture.clone().into(), ImageFormat::Jpeg);
    assert_eq!(jpeg[6..11], *b"JFIF\0");
    jpeg[14..18].copy_from_slice(&[x.to_be_bytes(), y.to_be_bytes()].concat());
    let mut bmp = encode(&picture.clone().into(), ImageFormat::Bmp);
    bmp[38..46].copy_from_slice(&[u32::from(x).to_le_bytes(), u32::from(y).to_le_bytes()].concat());
    // Behind the pixels' 1200 bytes, two rational numbers of 8 bytes; tags lie further back.
    let mut pixels = picture.clone().into_raw();
    pixels.extend([x.into(), 1, y.into(), 1].iter().flat_map(|number: &u32| number.to_le_bytes()));
    let longer = GrayImage::from_raw(4, pixels.len() as u32 / 4, pixels).unwrap();
    let mut tiff = tiff(&longer, &[(282, 1208), (283, 1216)]);
    let directory = 8 + longer.as_raw().len() + 2;
    for entry in tiff[directory..].chunks_exact_mut(12) {
        match u16::from_le_bytes([entry[0], entry[1]]) {
            256 => entry[8] = WIDTH as u8,
            257 | 278 => entry[8..10].copy_from_slice(&[HEIGHT as u8, 0]),
            279 => entry[8..10].copy_from_slice(&1200_u16.to_le_bytes()),
            282 | 283 => entry[2] = 5,
            _ => {}
        }
    }
    vec![("PNG without unit", phys(0)), ("PNG", phys(1)), ("JPEG", jpeg), ("BMP", bmp), ("TIFF", tiff)]
}

#[test]
fn pixels_that_are_not_square_are_named() {
    for (x, y, named) in [
        (300, 300, false),
        (1, 1, false),
        (0, 0, false),
        (0, 72, false),
        (2835, 2834, false),
        (300, 298, false),
        (200, 110, true),
        (1, 2, true),
        (300, 290, true),
    ] {
        for (format, bytes) in with_resolution(x, y) {
            let film = read(&bytes).unwrap();
            assert_eq!(film.size(), Size { width: WIDTH, height: HEIGHT }, "{format}");
            let expected = format!("its resolution tags state {x} px to the right and {y} px down for the same length");
            let said = said(&film);
            assert_eq!(said.len(), usize::from(named), "{format}, {x} x {y}: {said:?}");
            assert!(
                said.iter().all(|said| said.starts_with(&expected) && said.contains("may not be square")),
                "{said:?}"
            );
            // It is no spacing, and a spacing of the same shape agrees with it.
            assert_eq!((film.spacing(), film.pixel_aspect()), (None, None));
            let stated = Spacing::new(10.0, 10.0 * f64::from(x) / f64::from(y.max(1)), "a ruler");
            assert!(!named || film.with_spacing(stated.unwrap()).warnings().is_empty());
        }
    }
    // On a film that its orientation tag turns, the axes change places.
    let png = encode(&film().into(), ImageFormat::Png);
    let tags = [chunk(b"pHYs", &[0, 0, 0, 2, 0, 0, 0, 1, 0]), chunk(b"eXIf", &exif(6))].concat();
    let film = read(&[&png[..33], &tags, &png[33..]].concat()).unwrap();
    assert!(said(&film)[0].starts_with("its resolution tags state 1 px to the right and 2 px down"), "{film:?}");
}

#[test]
fn jpegs_that_state_their_height_behind_their_pixels_are_named() {
    let mut jpeg = encode(&film().into(), ImageFormat::Jpeg);
    let at = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[at + 5..at + 7].fill(0);
    refusal(&jpeg, &["its JPEG states its height behind its pixels", "save it as grey PNG"]);
}

/// A TIFF of this compression and these sides, whose only strip is no such data.
fn nonsense(compression: u16, side: u16) -> Vec<u8> {
    let mut tiff = tiff(&film(), &[]);
    let directory = 8 + film().as_raw().len() + 2;
    for entry in tiff[directory..].chunks_exact_mut(12) {
        match u16::from_le_bytes([entry[0], entry[1]]) {
            256 | 257 | 278 => entry[8..10].copy_from_slice(&side.to_le_bytes()),
            259 => entry[8..10].copy_from_slice(&compression.to_le_bytes()),
            _ => {}
        }
    }
    tiff
}

#[test]
fn tiffs_are_limited_before_their_strips_are_looked_at() {
    for compression in [7, 8, 32_946] {
        let error = read(&nonsense(compression, 20_000)).unwrap_err();
        assert!(matches!(error, FilmError::TooLarge { .. }), "{compression}: {error}");
        let error = read(&nonsense(compression, 40)).unwrap_err();
        assert!(matches!(error, FilmError::Damaged { .. }), "{compression}: {error}");
    }
    // A list of strips of 1 GB is beyond what is read, and its file need not be damaged.
    let mut many = nonsense(1, 40);
    let entry = many.windows(4).position(|entry| entry == [0x11, 1, 3, 0]).unwrap();
    many[entry + 2] = 4;
    many[entry + 4..entry + 8].copy_from_slice(&0x1000_0000_u32.to_le_bytes());
    refusal(&many, &["one of its tags has more values than are read"]);
}

/// A TIFF of two strips with these places and lengths.
fn two_strips(places: [u16; 2], lengths: [u16; 2]) -> Vec<u8> {
    let mut tiff = tiff(&film(), &[]);
    let directory = 8 + film().as_raw().len() + 2;
    for entry in tiff[directory..].chunks_exact_mut(12) {
        let pair = match u16::from_le_bytes([entry[0], entry[1]]) {
            273 => places,
            279 => lengths,
            278 => {
                entry[8..10].copy_from_slice(&(film().height() as u16 / 2).to_le_bytes());
                continue;
            }
            _ => continue,
        };
        entry[4] = 2;
        entry[8..12].copy_from_slice(&pair.map(u16::to_le_bytes).concat());
    }
    tiff
}

#[test]
fn each_strip_of_a_tiff_has_its_own_place_and_length() {
    let half = film().as_raw().len() as u16 / 2;
    let sound = read(&two_strips([8, 8 + half], [half; 2])).unwrap();
    assert_eq!(sound.grey(), film().as_raw());
    for (places, lengths, says) in [
        ([8, 8], [half; 2], "overlap"),
        ([8, 8 + half - 1], [half; 2], "overlap"),
        ([0, 8 + half], [half; 2], "overlap"),
        ([8, 8 + half], [half / 2, half], "is shorter than its rows"),
        ([8, 8 + half], [half, half - 1], "is shorter than its rows"),
    ] {
        let error = read(&two_strips(places, lengths)).unwrap_err();
        assert!(matches!(error, FilmError::Damaged { .. }) && error.to_string().contains(says), "{places:?}: {error}");
    }
}

/// A picture and, inside it, the directory of another one with this side.
fn with_picture_inside(side: u16) -> Vec<u8> {
    let mut tiff = tiff(&film(), &[(330, 0)]);
    let entry = tiff.windows(4).position(|entry| entry == [0x4A, 1, 3, 0]).unwrap();
    let place = tiff.len() as u32;
    tiff[entry + 2] = 4;
    tiff[entry + 8..entry + 12].copy_from_slice(&place.to_le_bytes());
    tiff.extend([2, 0]);
    for tag in [256_u16, 257] {
        tiff.extend([tag.to_le_bytes(), [3, 0], [1, 0], [0, 0], side.to_le_bytes(), [0, 0]].concat());
    }
    tiff.extend([0; 4]);
    tiff
}

#[test]
fn a_film_inside_its_thumbnail_is_not_overlooked() {
    read(&with_picture_inside(3)).unwrap();
    refusal(&with_picture_inside(4000), &["it has 2 pictures, and the first is smaller than one inside it"]);
}

#[test]
fn pages_are_counted_up_to_a_thousand() {
    let mut many = tiff(&film(), &[]);
    // Small pages, each with the place of the next behind its only tag.
    let mut place = many.len() - 4;
    for _ in 0..1001 {
        let next = many.len() as u32;
        many[place..place + 4].copy_from_slice(&next.to_le_bytes());
        many.extend([[1, 0].as_slice(), &[254, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0], &[0; 4]].concat());
        place = many.len() - 4;
    }
    refusal(&many, &["it has 1000 or more pages", "export the one that you mean"]);
}

#[test]
fn sides_are_limited_before_pixels_are_read() {
    let header = |width: u32, height: u32| {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let header = chunk(b"IHDR", &[&size[..], &[8, 0, 0, 0, 0]].concat());
        [b"\x89PNG\r\n\x1a\n", &header[..], &chunk(b"IDAT", &[]), &chunk(b"IEND", &[])].concat()
    };
    for (width, height) in [(100_000_000, 1), (1, 65_536), (65_536, 65_536)] {
        let error = read(&header(width, height)).unwrap_err();
        assert!(matches!(error, FilmError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("65535 px a side"), "{error}");
    }
    assert!(matches!(read(&header(65_535, 1)), Err(FilmError::Damaged { .. })));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("/dev/zero", at("endless.png")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe.png")).status().unwrap();
    assert!(made.success());
    for (name, kind) in
        [("endless.png", "a device"), ("socket.png", "a socket"), ("pipe.png", "a pipe"), (".", "a folder")]
    {
        let error = Film::open(at(name)).unwrap_err();
        let FilmError::Read { .. } = error else { panic!("{error}") };
        let cause = error.source().unwrap().to_string();
        assert_eq!(cause, format!("it is {kind}; give a file"));
    }
    // A search for films does not wait for a pipe either.
    #[cfg(feature = "dicom")]
    assert!(!onemark_film::holds_dicom(&at("pipe.png")));
}
