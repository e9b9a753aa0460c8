//! Films that must be refused, alone and among good ones, and inputs without films. The use of a DICOM film's attributes is
//! tested in onemark-film.

use std::io::Cursor;

use image::{GrayImage, ImageFormat};

use super::*;

pub const CASES: &[Case] = &[
    Case {
        name: "film that is a text file",
        harm: NOTHING,
        line: "detect note.txt --bundle head.onemark",
        says: &["note.txt is not a film Onemark can read", "a text file", "PNG, JPEG, BMP or TIFF"],
    },
    Case {
        name: "film cut short",
        harm: |here| {
            let whole = fs::read(here.join(FILM)).unwrap();
            fs::write(here.join(FILM), &whole[..whole.len() / 2]).unwrap();
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["151.png is damaged or cut short", "copy or export it again"],
    },
    Case {
        name: "film that does not exist",
        harm: NOTHING,
        line: "detect nowhere.png --bundle head.onemark",
        says: &["nowhere.png", "No such file"],
    },
    Case {
        name: "folder without films",
        harm: |here| fs::create_dir(here.join("empty")).unwrap(),
        line: "detect empty --bundle head.onemark",
        says: &["no film is in the folder empty", "bmp, dcm", "DICOM"],
    },
    Case {
        name: "pattern that matches nothing",
        harm: NOTHING,
        line: "detect films/*.dcm --bundle head.onemark",
        says: &["no film matches films/*.dcm", "** for folders in folders"],
    },
    Case {
        name: "invalid pattern",
        harm: NOTHING,
        line: "detect films/[.png --bundle head.onemark",
        says: &["the pattern films/[.png", "error near position"],
    },
    Case {
        name: "DICOMDIR that is not DICOM",
        harm: |here| fs::copy(here.join("note.txt"), here.join("DICOMDIR")).map(drop).unwrap(),
        line: "detect DICOMDIR --bundle head.onemark",
        says: &["DICOMDIR", "its first bytes are not those of DICOM", "give the folder of the films instead"],
    },
    Case {
        name: "invalid shard",
        harm: NOTHING,
        line: "detect films --bundle head.onemark --shard 4/3",
        says: &["4/3", "such as 1/16 to 16/16"],
    },
    Case {
        name: "invalid spacing",
        harm: NOTHING,
        line: "detect films --bundle head.onemark --spacing 0",
        says: &["--spacing", "one positive number or two (x,y)"],
    },
];

/// The patient of the DICOM films below; no output may contain the name.
const PATIENT: &str = "Secret^Sarah";

/// A bad film: its name, its content, and a part of the required message.
type Bad = (&'static str, fn() -> Vec<u8>, &'static str);

/// Each bad film is reported, and the good films still get their landmarks.
const AMONG_GOOD_ONES: &[Bad] = &[
    (
        "bits.dcm",
        || dicom(&[(0x0028_0100, &32_u16.to_le_bytes())]),
        "its pixels have 32 bits (BitsAllocated), where 8 or 16 are read",
    ),
    ("colour.dcm", || dicom(&[(0x0028_0004, b"RGB ")]), "pixels are RGB, not grey; export it as MONOCHROME2"),
    ("cut.dcm", || dicom(&[])[..120].to_vec(), "damaged or cut short"),
    ("cut.png", || png()[..60].to_vec(), "damaged or cut short"),
    ("deflated.dcm", || file("1.2.840.10008.1.2.1.99"), "Deflated Explicit VR Little Endian is not read"),
    ("empty.png", Vec::new, "an empty file"),
    ("frames.dcm", || dicom(&[(0x0028_0008, b"24")]), "multi-frame (24 frames)"),
    ("gif.png", || b"GIF89a\x01\0\x01\0".to_vec(), "another image format"),
    ("huge.bmp", || bmp(20_000, 20_000), "too large: 20000x20000 px"),
    ("huge.dcm", || dicom(&[(0x0028_0010, &[0xFF; 2]), (0x0028_0011, &[0xFF; 2])]), "too large: 65535x65535 px"),
    ("noise.jpg", || vec![7; 400], "no image"),
    ("palette.dcm", || dicom(&[(0x0028_0004, b"PALETTE COLOR ")]), "pixels are PALETTE COLOR"),
    ("polarity.dcm", || dicom(&[(0x0028_0004, b"")]), "does not state its PhotometricInterpretation"),
    ("pixels.dcm", || dicom(&[(PIXELS, b"")]), "0 pixels where 16 are expected"),
    ("rows.dcm", || dicom(&[(0x0028_0010, &5_u16.to_le_bytes())]), "16 pixels where 20 are expected"),
    ("syntax.dcm", || file("1.2.840.10008.1.2.4.70"), "its pixels are not compressed, but its transfer syntax is"),
    ("text.dcm", || b"No film at all.".to_vec(), "a text file"),
    ("unknown.dcm", || file("1.2.3.4"), "its transfer syntax 1.2.3.4 is unknown"),
    ("zero.dcm", || dicom(&[(0x0028_0011, &[0; 2])]), "is empty (0x4 px)"),
];

#[test]
fn bad_films_among_good_ones_are_reported() {
    let here = fresh();
    let folder = here.path().join("batch");
    fs::create_dir(&folder).unwrap();
    for (name, bytes, _) in AMONG_GOOD_ONES {
        fs::write(folder.join(name), bytes()).unwrap();
    }
    fs::write(folder.join("good.dcm"), dicom(&[])).unwrap();
    fs::write(folder.join("good.png"), png()).unwrap();
    let line = "detect batch --bundle head.onemark --json found.json";
    let outcome = Outcome::from(Program::Runtime.command(here.path(), line).output().unwrap());
    let failed = format!("{} of {} films failed", AMONG_GOOD_ONES.len(), AMONG_GOOD_ONES.len() + 2);
    assert_eq!(not_refused(&outcome, &[&failed]), None);
    for (name, _, says) in AMONG_GOOD_ONES {
        let said = outcome.stderr.lines().any(|line| line.contains(&format!("batch/{name}")) && line.contains(says));
        assert!(said, "nowhere that {name}: {says}\n{}", outcome.stderr);
    }
    let json = fs::read_to_string(here.path().join("found.json")).unwrap();
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let found = found["films"].as_array().unwrap();
    assert_eq!(found.len(), AMONG_GOOD_ONES.len() + 2);
    for film in found {
        let good = film["file"].as_str().unwrap().contains("good");
        assert_eq!(good, film["error"].is_null(), "{film}");
        assert_eq!(good, film["landmarks"].as_array().is_some_and(|landmarks| landmarks.len() == 19), "{film}");
    }
    assert!([json, outcome.stdout, outcome.stderr].iter().all(|text| !text.contains("Secret")), "the patient is named");
}

/// A long batch with a bad film in every twenty; `ONEMARK_FILMS=1000` makes it longer.
///
/// It fails if the peak of memory grows by a quarter between a quarter and nine tenths of the films, which are 65 of 100: by one in
/// 260 for each film. A program of 260 MB would have to keep 1 MB of each film, about its grey values; of 1000 films, 0.1 MB. What it
/// keeps below that, such as the results, is not noticed.
#[test]
#[cfg(target_os = "linux")]
fn a_long_batch_stays_small() {
    use std::io::{BufRead as _, BufReader};

    let films: usize = std::env::var("ONEMARK_FILMS").map_or(100, |films| films.parse().unwrap());
    let here = fresh();
    let folder = here.path().join("batch");
    fs::create_dir(&folder).unwrap();
    let good = GrayImage::from_fn(900, 1100, |x, y| image::Luma([(x ^ y) as u8]));
    good.save(here.path().join("good.png")).unwrap();
    for film in 0..films {
        let (name, bytes) = match film % 20 {
            7 => (
                AMONG_GOOD_ONES[film / 20 % AMONG_GOOD_ONES.len()].0,
                AMONG_GOOD_ONES[film / 20 % AMONG_GOOD_ONES.len()].1(),
            ),
            _ => ("good.png", fs::read(here.path().join("good.png")).unwrap()),
        };
        fs::write(folder.join(format!("{film:04}-{name}")), bytes).unwrap();
    }
    let line = "detect batch --bundle head.onemark --landmarks 1 --json found.json";
    let mut run = Program::Runtime.command(here.path(), line).stderr(std::process::Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", run.id());
    // In kB: the most that it has had until now.
    let peak = || -> u64 {
        let status = fs::read_to_string(&status).unwrap();
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    };
    let (mut told, mut early, mut late) = (0, 0, 0);
    for line in BufReader::new(run.stdout.take().unwrap()).lines() {
        told += usize::from(line.unwrap().starts_with("batch/"));
        match told {
            told if told == films / 4 && early == 0 => early = peak(),
            told if told == films * 9 / 10 && late == 0 => late = peak(),
            _ => {}
        }
    }
    run.wait().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&fs::read(here.path().join("found.json")).unwrap()).unwrap();
    let failed = found["films"].as_array().unwrap().iter().filter(|film| !film["error"].is_null()).count();
    assert_eq!((found["films"].as_array().unwrap().len(), failed), (films, films.div_ceil(20)));
    println!("{films} films, {failed} of them bad: {early} kB after a quarter, {late} kB near the end");
    assert!(early > 0 && late < early + early / 4, "{early} kB after a quarter, {late} kB near the end");
}

const PIXELS: u32 = 0x7FE0_0010;

/// The data set of a DICOM film of 4x4 px in 16 bits, with some attributes replaced; implicit VR.
fn dicom(changed: &[(u32, &[u8])]) -> Vec<u8> {
    let [one, four, sixteen] = [1_u16, 4, 16].map(u16::to_le_bytes);
    let mut attributes: BTreeMap<u32, &[u8]> = [
        (0x0008_0005, &b"ISO_IR 192"[..]),
        (0x0010_0010, PATIENT.as_bytes()),
        (0x0028_0002, &one),
        (0x0028_0004, b"MONOCHROME2 "),
        (0x0028_0010, &four),
        (0x0028_0011, &four),
        (0x0028_0100, &sixteen),
        (PIXELS, &[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6, 4, 3, 3, 8, 3, 2, 7, 9, 5]),
    ]
    .into();
    attributes.extend(changed.iter().copied());
    onemark_tests::data_set(&attributes)
}

/// A DICOM file whose header states this transfer syntax.
fn file(syntax: &str) -> Vec<u8> {
    let uid = format!("{syntax}{}", if syntax.len().is_multiple_of(2) { "" } else { "\0" });
    let element = [b"\x02\0\x10\0UI", &(uid.len() as u16).to_le_bytes()[..], uid.as_bytes()].concat();
    let length = (element.len() as u32).to_le_bytes();
    [&[0; 128], &b"DICM\x02\0\0\0UL\x04\0"[..], &length, &element, &dicom(&[])].concat()
}

fn png() -> Vec<u8> {
    encode(ImageFormat::Png)
}

/// A BMP whose header claims this size.
fn bmp(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = encode(ImageFormat::Bmp);
    bytes[18..22].copy_from_slice(&width.to_le_bytes());
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    bytes
}

fn encode(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::from_fn(40, 50, |x, y| image::Luma([(x * y) as u8])).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
