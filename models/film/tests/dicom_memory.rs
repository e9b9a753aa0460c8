//! The memory that reading a DICOM file takes: what its bytes explain, whatever lengths it claims.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code, reason = "an allocator that counts needs it")]

mod dicom_files;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use dicom_dictionary_std::uids;
use dicom_files::raw::{
    ITEM, PIXELS, data_set, explicit, file, implicit, implicit_data_set, undefined_sequence, with_length,
};
use dicom_files::read;

/// What reading takes whatever the file: tables of all words of 16 bits.
const TABLES: usize = 4 << 20;
/// How many times its length a file may take: a record of a few bytes becomes a map.
const TIMES: usize = 80;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts.
struct Counting;

// SAFETY: all calls are passed on; nothing else touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of this function, which are the same.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The memory that reading these bytes takes at its highest, and what they give.
fn taken(bytes: &[u8]) -> (usize, Result<onemark_film::Film, onemark_film::FilmError>) {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let read = read(bytes);
    (MOST.load(Ordering::Relaxed) - before, read)
}

/// One test only: others would count too.
#[test]
fn no_claim_takes_memory_that_the_file_does_not_have() {
    const GIGABYTES: u32 = 0xFFFF_FFF0;
    let typed = |attributes: &[u8]| file(uids::EXPLICIT_VR_LITTLE_ENDIAN, &data_set(attributes, &[]));
    let untyped = |attributes: &[u8]| file(uids::IMPLICIT_VR_LITTLE_ENDIAN, attributes);
    let claim = |tag: (u16, u16), vr: &str, claimed: u32| {
        let mut attribute = explicit(tag, vr, &[]);
        let length = attribute.len() - 4..;
        attribute[length].copy_from_slice(&claimed.to_le_bytes());
        attribute
    };
    let sized = |rows: u16, columns: u16| {
        let mut data_set = implicit_data_set();
        for (element, number) in [(0x10, rows), (0x11, columns)] {
            let start = implicit((0x28, element), &[0, 0])[..8].to_vec();
            let at = data_set.windows(8).position(|here| here == start).unwrap() + 8;
            data_set[at..at + 2].copy_from_slice(&number.to_le_bytes());
        }
        untyped(&data_set)
    };
    let items = with_length(ITEM, 0, &[]).repeat(1_000_000);
    let cases = [
        ("sound", typed(&[])),
        ("pixels of gigabytes", typed(&claim(PIXELS, "OW", GIGABYTES))),
        ("a number of gigabytes", typed(&claim((0x28, 0x1050), "UN", GIGABYTES))),
        ("a private value of gigabytes", typed(&claim((9, 0x1010), "OB", GIGABYTES))),
        ("an item of gigabytes", typed(&undefined_sequence("SQ", &with_length(ITEM, GIGABYTES, &[])))),
        ("an attribute of gigabytes without a type", untyped(&with_length((8, 0x60), GIGABYTES, &[]))),
        (
            "a seven-byte number",
            untyped(&with_length((0x18, 0x9073), 7, &[9, 0, 0x10, 0x10, 0xF0, 0xFF, 0xFF, 0xFF, 0])),
        ),
        ("100 million pixels that are not there", sized(10_000, 10_000)),
        ("a million empty items", typed(&explicit((0x28, 0x3010), "SQ", &items))),
        (
            "a million empty fragments",
            file(uids::RLE_LOSSLESS, &[claim(PIXELS, "OB", u32::MAX), items.clone()].concat()),
        ),
        (
            "a megabyte of sequences in one another",
            untyped(&with_length((0x28, 0x3010), u32::MAX, &with_length(ITEM, u32::MAX, &[])).repeat(60_000)),
        ),
    ];
    for (name, bytes) in &cases {
        let (taken, read) = taken(bytes);
        assert!(taken <= TABLES + TIMES * bytes.len(), "{name}: {taken} bytes for a file of {}", bytes.len());
        assert_eq!(read.is_ok(), ["sound", "a million empty items"].contains(name), "{name}: {read:?}");
    }
}
