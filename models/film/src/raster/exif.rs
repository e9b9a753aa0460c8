//! What Exif and XMP say of a picture's orientation. Exif is a small TIFF, and so is the index of a multi-picture JPEG.

/// The tag of the orientation.
const ORIENTATION: u32 = 0x0112;

/// A small TIFF inside a file of another format.
pub(super) struct Tags<'a>(pub(super) &'a [u8]);

impl Tags<'_> {
    /// The number of so many bytes at this place. Places are sums of numbers in the file, which 32 bits may not hold.
    pub(super) fn number(&self, at: u64, bytes: usize) -> Option<u32> {
        let little = self.0.starts_with(b"II");
        let bytes = self.0.get(usize::try_from(at).ok()?..)?.get(..bytes)?;
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(if little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) })
    }

    /// The place of the entry with this tag in the first directory.
    pub(super) fn entry(&self, tag: u32) -> Option<u64> {
        let tags = u64::from(self.number(4, 4)?);
        let mut entries = (0..u64::from(self.number(tags, 2)?)).map(|entry| tags + 2 + 12 * entry);
        entries.find(|at| self.number(*at, 2) == Some(tag))
    }

    /// The orientation, from 1 to 8. Programs write it with 8, 16 or 32 bits.
    fn orientation(&self) -> Option<u8> {
        let entry = self.entry(ORIENTATION)?;
        let bytes = match self.number(entry + 2, 2)? {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => return None,
        };
        if self.number(entry + 4, 4) != Some(1) {
            return None;
        }
        valid(self.number(entry + 8, bytes)?)
    }
}

/// An orientation, if the number is one.
pub(super) fn valid(number: u32) -> Option<u8> {
    u8::try_from(number).ok().filter(|tag| (1..=8).contains(tag))
}

/// The orientation in Exif, with or without its name in front.
pub(super) fn orientation(exif: &[u8]) -> Option<u8> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    (tiff.starts_with(b"II*\0") || tiff.starts_with(b"MM\0*")).then(|| Tags(tiff).orientation())?
}

/// The orientation in XMP, as an attribute or an element. It is looked for as text, because XMP may be cut.
pub(super) fn xmp_orientation(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = xmp.windows(NAME.len()).position(|here| here == NAME)? + NAME.len();
    let is_mark = |byte: &u8| byte.is_ascii_whitespace() || b"=\"'>".contains(byte);
    let digit = xmp.get(at..)?.iter().find(|byte| !is_mark(byte))?;
    valid(u32::from(digit.wrapping_sub(b'0')))
}
