//! DICOM files that depart from the standard. What others read is read, with a warning where something is doubtful; what is damaged or
//! does harm is refused, and neither panics nor takes memory that its size does not explain.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dicom_files;

use dicom_dictionary_std::uids;
use dicom_files::raw::{
    GREY, ITEM, ITEM_END, PIXELS, SEQUENCE_END, attributes, data_set, explicit, file, file_with_meta_length, implicit,
    implicit_data_set, undefined_sequence, with_length,
};
use dicom_files::{PATIENT, read};
use onemark_film::{Film, FilmWarning};

const EXPLICIT: &str = uids::EXPLICIT_VR_LITTLE_ENDIAN;
const IMPLICIT: &str = uids::IMPLICIT_VR_LITTLE_ENDIAN;
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// The film of a file that must be read.
#[track_caller]
fn film(name: &str, bytes: &[u8]) -> Film {
    let film = read(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((film.width(), film.height(), film.grey()), (4, 2, &GREY[..]), "{name}");
    film
}

/// The error message of a file that must be refused.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err().to_string();
    assert!(!error.contains(PATIENT), "{error}");
    error
}

fn sound() -> Vec<u8> {
    file(EXPLICIT, &data_set(&[], &[]))
}

#[test]
fn what_others_read_is_read_without_a_word() {
    let private = implicit((9, 0x1011), b"drawn ");
    let typed = explicit((9, 0x1011), "LO", b"drawn ");
    let in_parts = undefined_sequence("SQ", &undefined_sequence("UN", &private));
    let nonsense = [with_length(ITEM, 5, b"12345"), with_length(SEQUENCE_END, 0, &[])].concat();
    let mut fragments = explicit((9, 0x1010), "OB", &[]);
    let length = fragments.len() - 4..;
    fragments[length].fill(0xFF);
    let between = |attributes: &[u8]| file(EXPLICIT, &data_set(attributes, &[]));
    let behind = |bytes: &[u8]| file(EXPLICIT, &data_set(&[], bytes));
    let cases = [
        ("as it should be", sound()),
        ("implicit", file(IMPLICIT, &implicit_data_set())),
        ("a private UN sequence", between(&undefined_sequence("UN", &private))),
        ("a UN sequence whose items state types", between(&undefined_sequence("UN", &typed))),
        ("a private sequence", between(&undefined_sequence("SQ", &typed))),
        ("a UN sequence in another", between(&in_parts)),
        ("a private item that is none inside", between(&[fragments, nonsense].concat())),
        ("a type that is newer than the program", between(&explicit((9, 0x1010), "ZZ", b"123456"))),
        ("a wrong length of a group", between(&explicit((8, 0), "UL", &7_u32.to_le_bytes()))),
        ("a value of odd length", between(&explicit((8, 0x80), "LO", b"odd"))),
        ("the same attribute twice", between(&explicit((8, 0x60), "CS", b"DX"))),
        ("seven bytes behind the pixels", behind(b"\x79\x0d\x0aend.")),
        ("a text behind the pixels", behind(b"Printed by a program that adds a line.\n")),
        ("zeros behind the pixels", behind(&[0; 300])),
        ("padding behind the pixels", behind(&explicit((0xFFFC, 0xFFFC), "OB", &[0; 40]))),
        ("padding that was cut off", behind(&explicit((0xFFFC, 0xFFFC), "OB", &[0; 40])[..20])),
        (
            "meta information of another length",
            file_with_meta_length(EXPLICIT, &data_set(&[], &[]), |length| length + 90),
        ),
        ("meta information of length 0", file_with_meta_length(EXPLICIT, &data_set(&[], &[]), |_| 0)),
        ("no meta information", [&[0; 128][..], b"DICM", &data_set(&[], &[])].concat()),
        ("no meta information, implicit", [&[0; 128][..], b"DICM", &implicit_data_set()].concat()),
    ];
    for (name, bytes) in cases {
        assert_eq!(film(name, &bytes).warnings(), [], "{name}");
    }
}

/// A transfer syntax that the attributes contradict.
#[test]
fn attributes_count_as_they_are_written() {
    let (typed, untyped) = (data_set(&[], &[]), implicit_data_set());
    for (syntax, data_set, says) in [
        (
            IMPLICIT,
            &typed,
            "says implicit VR little endian, but its attributes are written in explicit VR little endian",
        ),
        (
            EXPLICIT,
            &untyped,
            "says explicit VR little endian, but its attributes are written in implicit VR little endian",
        ),
        (
            BIG_ENDIAN,
            &typed,
            "says explicit VR big endian, but its attributes are written in explicit VR little endian",
        ),
    ] {
        let film = film(syntax, &file(syntax, data_set));
        let [warning @ FilmWarning::ContradictedEncoding { .. }] = film.warnings() else {
            panic!("{:?}", film.warnings())
        };
        assert!(warning.to_string().contains(says), "{warning}");
        assert!(!warning.is_about_spacing());
    }
}

/// Attributes whose type a program did not know are stated as UN, in their usual form.
#[test]
fn attributes_of_unknown_type_have_their_usual_type() {
    let unknown: Vec<u8> = attributes().iter().flat_map(|(tag, _, value)| explicit(*tag, "UN", value)).collect();
    let film = film("UN", &file(EXPLICIT, &[unknown, explicit(PIXELS, "UN", &GREY)].concat()));
    assert_eq!(film.warnings(), []);
    assert_eq!(film.spacing().unwrap().x(), 20.0);
    assert_eq!(film.dicom().unwrap().patient_name, PATIENT);
}

#[test]
fn pixels_of_16_bits_are_the_same_in_bytes_and_in_words() {
    let wide = |vr| {
        let attributes = attributes().into_iter().flat_map(|(tag, vr, value)| match tag {
            (0x28, 0x0100 | 0x0101) => explicit(tag, vr, &[16, 0]),
            (0x28, 0x0102) => explicit(tag, vr, &[15, 0]),
            _ => explicit(tag, vr, &value),
        });
        let words: Vec<u8> = GREY.iter().flat_map(|level| (u16::from(*level) * 257).to_le_bytes()).collect();
        file(EXPLICIT, &attributes.chain(explicit(PIXELS, vr, &words)).collect::<Vec<_>>())
    };
    for vr in ["OB", "OW"] {
        assert_eq!(film(vr, &wide(vr)).warnings(), [], "{vr}");
    }
}

/// Pixels without the delimiter that ends them are complete if their stream is.
#[test]
fn a_missing_last_delimiter_does_no_harm() {
    let mut rle = [0_u32; 16];
    rle[..2].copy_from_slice(&[1, 64]);
    let stream = [rle.iter().flat_map(|word| word.to_le_bytes()).collect(), vec![7], GREY.to_vec(), vec![128]].concat();
    let mut pixels = explicit(PIXELS, "OB", &[]);
    let length = pixels.len() - 4..;
    pixels[length].fill(0xFF);
    let fragments = [with_length(ITEM, 0, &[]), implicit(ITEM, &stream)].concat();
    let attributes: Vec<u8> = attributes().iter().flat_map(|(tag, vr, value)| explicit(*tag, vr, value)).collect();
    film("RLE", &file(uids::RLE_LOSSLESS, &[attributes, pixels, fragments].concat()));
}

#[test]
fn what_is_damaged_is_refused() {
    let between = |attributes: &[u8]| refusal(&file(EXPLICIT, &data_set(attributes, &[])));
    let damaged = |message: String| assert!(message.contains("damaged or cut short"), "{message}");
    damaged(between(&with_length(ITEM_END, 0, &[])));
    damaged(between(&with_length(SEQUENCE_END, 0, &[])));
    damaged(between(&with_length(ITEM, 0, &[])));
    damaged(between(&with_length((9, 0x1010), 4, b"ab\0\0")));
    damaged(between(&undefined_sequence("SQ", &with_length(SEQUENCE_END, 0, &[]))));
    damaged(between(&explicit((8, 0x60), "CS", b"CT")));
    // A value that is far longer than any that is read.
    damaged(between(&explicit((0x28, 0x1050), "UN", &vec![b'1'; 200_000])));
    // A sequence where a number is due.
    damaged(between(&explicit((0x28, 0x10), "SQ", b"ab")));
    let two = data_set(&explicit((0x28, 0x10), "US", &[1, 0]), &[]);
    assert!(refusal(&file(EXPLICIT, &two)).contains("it states its attribute (0028,0010) twice, with two values"));
    let odd = refusal(&file("1.2.3\nSecret^Sarah", &data_set(&[], &[])));
    assert!(odd.contains("its transfer syntax is unknown"), "{odd}");
}

#[test]
fn what_does_harm_to_other_readers_is_refused() {
    // An item delimiter where no sequence is.
    let start = implicit((8, 5), b"ISO_IR 192");
    let stray = [&start[..], &with_length(ITEM_END, 0, &[]), &with_length(ITEM, 0, &[])].concat();
    assert!(refusal(&stray).contains("damaged or cut short"));
    // A number of 7 bytes, behind which a second reader would find an attribute of 4 GB.
    let mixed =
        [&start[..], &with_length((0x18, 0x9073), 7, &[9, 0, 0x10, 0x10, 0xF0, 0xFF, 0xFF]), &[0xFF; 3], &[0; 6]];
    assert!(refusal(&mixed.concat()).contains("damaged or cut short"));
    // More attributes than a film has.
    let many = file(IMPLICIT, &with_length((9, 0x1010), 0, &[]).repeat(1_100_000));
    assert!(refusal(&many).contains("more than 1048576 attributes"));
}

/// Anything that is done to a sound file gives a film or an error.
#[test]
fn changed_files_never_panic() {
    let private = undefined_sequence("UN", &implicit((9, 0x1011), b"drawn "));
    let table = explicit((0x28, 0x3002), "US", &[3, 0, 0, 0, 8, 0]);
    let table = undefined_sequence("SQ", &[table, explicit((0x28, 0x3006), "OW", &[1, 0, 2, 0, 3, 0])].concat());
    let table = [&[0x28, 0, 0x10, 0x30], &table[4..]].concat();
    let sound = [
        file(EXPLICIT, &data_set(&private, b"end")),
        file(EXPLICIT, &data_set(&table, &[])),
        file(IMPLICIT, &implicit_data_set()),
    ];
    let mut random = Random(1);
    let (mut films, mut errors) = (0, 0);
    for _ in 0..6000 {
        let mut bytes = sound[random.below(sound.len())].clone();
        for _ in 0..=random.below(2) {
            random.change(&mut bytes);
        }
        match read(&bytes) {
            Ok(film) => {
                films += 1;
                assert_eq!(film.grey().len() as u64, film.size().pixels());
                let warnings: String = film.warnings().iter().map(ToString::to_string).collect();
                assert!(!warnings.contains(PATIENT), "{warnings}");
            }
            Err(error) => {
                errors += 1;
                assert!(!error.to_string().contains(PATIENT), "{error}");
            }
        }
    }
    assert!(films > 500 && errors > 500, "{films} films and {errors} errors: too much or too little was changed");
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }

    /// Changes a file behind its preamble: a byte, a length, a part that is lost, repeated or moved, or an item put in.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        const FIRST: usize = 132;
        let at = FIRST + self.below(bytes.len() - FIRST);
        let end = (at + 1 + self.below(24)).min(bytes.len());
        match self.below(12) {
            0..=5 => bytes[at] = self.below(256) as u8,
            6 => bytes[at..end.min(at + 4)].fill(0xFF),
            7 => bytes[at..end].fill(0),
            8 => drop(bytes.drain(at..end)),
            9 => {
                let part = bytes[at..end].to_vec();
                let place = FIRST + self.below(bytes.len() - FIRST);
                drop(bytes.splice(place..place, part));
            }
            10 => {
                let tags = [ITEM, ITEM_END, SEQUENCE_END, PIXELS, (0x28, 0x3010), (0x28, 0x10)];
                let lengths = [0, 1, 7, 0xFFF0, u32::MAX];
                let part = with_length(tags[self.below(tags.len())], lengths[self.below(lengths.len())], &[]);
                drop(bytes.splice(at..at, part));
            }
            _ => bytes.truncate(at.max(FIRST + 8)),
        }
    }
}
