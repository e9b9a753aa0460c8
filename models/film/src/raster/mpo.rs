//! Files of several JPEGs with equal rights, such as those of stereo cameras (CIPA DC-007, Multi-Picture Format). The index of the
//! pictures lies in the first one's header. Previews and brightness maps beside a photograph are listed there too, but are no films.

use super::exif::Tags;
use super::{Fault, pages};
use crate::jpeg;

/// The marker of the segment with the index, and how its body begins.
const SEGMENT: u8 = 0xE2;
const NAME: &[u8] = b"MPF\0";
/// The tag of the list of pictures.
const PICTURES: u32 = 0xB002;
/// The length of an entry of that list.
const ENTRY: u64 = 16;
/// The kinds of pictures with equal rights: of a panorama, for two eyes, from several angles.
const EQUAL: [u32; 3] = [0x02_0001, 0x02_0002, 0x02_0003];

/// Refuses a file of several pictures with equal rights.
pub(super) fn refuse_pictures(file: &[u8]) -> Result<(), Fault> {
    let indices = jpeg::header_segments(file).filter(|(marker, _)| *marker == SEGMENT);
    let pictures = indices.filter_map(|(_, body)| equal_pictures(body.strip_prefix(NAME)?)).max().unwrap_or_default();
    if pictures > 1 { Err(pages(pictures, "pictures")) } else { Ok(()) }
}

/// The number of pictures with equal rights in an index, which is a small TIFF.
fn equal_pictures(index: &[u8]) -> Option<usize> {
    let tags = Tags(index);
    let number = |at: u64, bytes: usize| tags.number(at, bytes);
    let list = tags.entry(PICTURES)?;
    let (length, start) = (u64::from(number(list + 4, 4)?), u64::from(number(list + 8, 4)?));
    let kinds = (0..length / ENTRY).map_while(|entry| Some(number(start + ENTRY * entry, 4)? & 0xFF_FFFF));
    Some(kinds.filter(|kind| EQUAL.contains(kind)).count())
}
