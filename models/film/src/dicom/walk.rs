//! Walks over the attributes of a DICOM data set, once, and keeps those that Onemark reads (PS3.5, sec. 7).
//!
//! All later steps use what this walk has kept. No other parser sees the bytes, so two readers can't find different attributes in
//! them. A value is a slice of the file: no memory is allocated for a length that a file only claims.

use std::collections::BTreeMap;
use std::mem;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::attributes::READ;
use crate::fault::Fault;

/// The largest depth of nested sequences. Films have two or three levels.
const MAX_DEPTH: usize = 32;

/// The largest number of attributes, items and fragments of a file. Films have some hundreds, and a DICOMDIR some for each of its films.
const MAX_ATTRIBUTES: usize = 1 << 20;

/// The group of the tags that begin and end items (PS3.5, 7.5).
const ITEMS_GROUP: u16 = 0xFFFE;
const ITEM: Tag = Tag(ITEMS_GROUP, 0xE000);
const END_OF_ITEM: Tag = Tag(ITEMS_GROUP, 0xE00D);
const END_OF_SEQUENCE: Tag = Tag(ITEMS_GROUP, 0xE0DD);

/// The length of a value that ends with a delimiter.
const UNDEFINED_LENGTH: u32 = u32::MAX;

/// How attributes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether each attribute states its type (its VR).
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

impl Encoding {
    pub(super) const EXPLICIT: Self = Self { explicit: true, big_endian: false };
    pub(super) const IMPLICIT: Self = Self { explicit: false, big_endian: false };

    /// How the attributes in `bytes` are written, by the first of them: two letters show that it states its type, and data sets begin
    /// with group 8. `self`: how they are said to be written.
    pub(super) fn as_written(self, bytes: &[u8]) -> Self {
        let [first, second, _, _, letter, other, ..] = *bytes else { return self };
        let letters = [letter, other];
        let big_endian = match [first, second] {
            [8, 0] => false,
            [0, 8] => true,
            _ => self.big_endian,
        };
        let explicit = VR::from_binary(letters).is_some() || self.explicit && are_letters(letters);
        Self { explicit, big_endian }
    }

    /// How the items in `bytes` are written, by the tag of the first. Sequences of type UN are little endian in every data set (PS3.5, 6.2.2).
    fn of_items(self, bytes: &[u8]) -> Self {
        let big_endian = match bytes {
            [0xFE, 0xFF, ..] => false,
            [0xFF, 0xFE, ..] => true,
            _ => self.big_endian,
        };
        Self { big_endian, ..self }
    }

    /// Its name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self { explicit: true, big_endian: false } => "explicit VR little endian",
            Self { explicit: true, big_endian: true } => "explicit VR big endian",
            Self { explicit: false, big_endian: false } => "implicit VR little endian",
            Self { explicit: false, big_endian: true } => "implicit VR big endian",
        }
    }
}

/// The attributes of a data set or an item.
pub(super) type Found<'a> = BTreeMap<Tag, Element<'a>>;

/// An attribute that Onemark reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Element<'a> {
    /// Its type: the stated one or, where none is stated, that of the dictionary.
    pub(super) vr: VR,
    pub(super) big_endian: bool,
    pub(super) value: Value<'a>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    Items(Vec<Found<'a>>),
    /// Compressed pixels, without their offset table.
    Fragments(Vec<&'a [u8]>),
}

/// The start of an attribute, item or delimiter. `length` is `None` for values that end with a delimiter.
struct Start {
    tag: Tag,
    vr: VR,
    length: Option<usize>,
}

/// The attributes of a whole data set. Bytes behind its pixels that are no attributes do no harm: some programs pad files.
pub(super) fn data_set(bytes: &[u8], encoding: Encoding) -> Result<Found<'_>, Fault> {
    let (mut walk, mut found) = (Walk::new(bytes), Found::new());
    while !walk.rest.is_empty() {
        match walk.element(encoding, 0, &mut found) {
            Err(_) if found.contains_key(&tags::PIXEL_DATA) => break,
            step => step?,
        }
    }
    Ok(found)
}

/// The file meta information, which ends with the last attribute of group 2, and the bytes after it. Its stated length is not used: some
/// programs leave it out or state a wrong one.
pub(super) fn meta(bytes: &[u8]) -> Result<(Found<'_>, &[u8]), Fault> {
    let (mut walk, mut found) = (Walk::new(bytes), Found::new());
    let encoding = Encoding::EXPLICIT.as_written(bytes);
    while walk.rest.starts_with(&[2, 0]) {
        walk.element(encoding, 0, &mut found)?;
    }
    Ok((found, walk.rest))
}

fn broken() -> Fault {
    Fault::damaged("its attributes are incomplete or contradict each other")
}

struct Walk<'a> {
    rest: &'a [u8],
    /// How many attributes, items and fragments may still follow.
    left: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, left: MAX_ATTRIBUTES }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const BYTES: usize>(&mut self, encoding: Encoding) -> Result<u32, Fault> {
        let bytes = self.take(BYTES)?.iter();
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Ok(if encoding.big_endian { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    fn start(&mut self, encoding: Encoding) -> Result<Start, Fault> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Fault::damaged(format!("it has more than {MAX_ATTRIBUTES} attributes, items and fragments"))
        })?;
        let tag = Tag(self.number::<2>(encoding)? as u16, self.number::<2>(encoding)? as u16);
        let (stated, length) = if encoding.explicit && tag.group() != ITEMS_GROUP {
            let [letter, other] = *self.take(2)? else { return Err(broken()) };
            if !are_letters([letter, other]) {
                return Err(broken());
            }
            let vr = VR::from_binary([letter, other]);
            (vr, if has_short_length(vr) { self.number::<2>(encoding)? } else { self.long_length(encoding)? })
        } else {
            (None, self.number::<4>(encoding)?)
        };
        let vr = stated.filter(|vr| *vr != VR::UN).unwrap_or_else(|| usual(tag));
        Ok(Start { tag, vr, length: (length != UNDEFINED_LENGTH).then_some(length as usize) })
    }

    /// Two bytes without meaning, then the length.
    fn long_length(&mut self, encoding: Encoding) -> Result<u32, Fault> {
        self.take(2)?;
        self.number::<4>(encoding)
    }

    /// Walks over an attribute, and notes it if Onemark reads it.
    fn element(&mut self, encoding: Encoding, depth: usize, found: &mut Found<'a>) -> Result<(), Fault> {
        let Start { tag, vr, length } = self.start(encoding)?;
        if tag.group() == ITEMS_GROUP {
            return Err(broken());
        }
        let is_read = READ.contains(&tag);
        let value = match length {
            Some(length) => {
                let bytes = self.take(length)?;
                if is_read && vr == VR::SQ {
                    let outside = mem::replace(&mut self.rest, bytes);
                    let items = self.items(encoding, depth + 1, true, true)?;
                    self.rest = outside;
                    Value::Items(items)
                } else {
                    Value::Bytes(bytes)
                }
            }
            None if tag == tags::PIXEL_DATA => Value::Fragments(self.fragments(encoding)?),
            None => Value::Items(self.items(encoding, depth + 1, is_read, false)?),
        };
        if !is_read {
            return Ok(());
        }
        let element = Element { vr, big_endian: encoding.big_endian, value };
        if found.get(&tag).is_some_and(|before| *before != element) {
            return Err(Fault::damaged(format!("it states its attribute {tag} twice, with two values")));
        }
        found.insert(tag, element);
        Ok(())
    }

    /// The items of a sequence. `are_read`: whether Onemark reads them. `to_the_end`: whether they end with the bytes, without delimiter.
    fn items(
        &mut self,
        encoding: Encoding,
        depth: usize,
        are_read: bool,
        to_the_end: bool,
    ) -> Result<Vec<Found<'a>>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::damaged(format!("its sequences are nested more than {MAX_DEPTH} deep")));
        }
        let (encoding, mut items) = (encoding.of_items(self.rest), Vec::new());
        while !(to_the_end && self.rest.is_empty()) {
            let mut item = Found::new();
            match self.start(encoding)? {
                Start { tag: END_OF_SEQUENCE, .. } => break,
                Start { tag: ITEM, length: Some(length), .. } => {
                    let bytes = self.take(length)?;
                    if are_read {
                        let outside = mem::replace(&mut self.rest, bytes);
                        while !self.rest.is_empty() {
                            self.element(encoding.as_written(bytes), depth, &mut item)?;
                        }
                        self.rest = outside;
                    }
                }
                Start { tag: ITEM, length: None, .. } => {
                    // Items of sequences of type UN state no types, whatever their data set does (PS3.5, 6.2.2).
                    let inside = encoding.as_written(self.rest);
                    while !self.at_end_of_item(inside) {
                        self.element(inside, depth, &mut item)?;
                    }
                    self.start(inside)?;
                }
                _ => return Err(broken()),
            }
            if are_read {
                items.push(item);
            }
        }
        Ok(items)
    }

    fn at_end_of_item(&self, encoding: Encoding) -> bool {
        let Tag(group, element) = END_OF_ITEM;
        let words =
            [group, element].map(|word| if encoding.big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        self.rest.starts_with(&words.concat())
    }

    /// The fragments of compressed pixels, without the first, which is a table of offsets. The last delimiter may be missing: each
    /// decoder checks whether its stream is complete.
    fn fragments(&mut self, encoding: Encoding) -> Result<Vec<&'a [u8]>, Fault> {
        let (encoding, mut fragments) = (encoding.of_items(self.rest), Vec::new());
        while !self.rest.is_empty() {
            match self.start(encoding)? {
                Start { tag: END_OF_SEQUENCE, .. } => break,
                Start { tag: ITEM, length: Some(length), .. } => fragments.push(self.take(length)?),
                _ => return Err(broken()),
            }
        }
        fragments.drain(..fragments.len().min(1));
        Ok(fragments)
    }
}

fn are_letters(two: [u8; 2]) -> bool {
    two.iter().all(u8::is_ascii_uppercase)
}

/// Whether lengths of values of this type have 16 bits. Types that the dictionary does not know are newer than those (PS3.5, 7.1.2).
const fn has_short_length(vr: Option<VR>) -> bool {
    use VR::{AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US};
    matches!(
        vr,
        Some(AE | AS | AT | CS | DA | DS | DT | FD | FL | IS | LO | LT | PN | SH | SL | SS | ST | TM | UI | UL | US)
    )
}

/// The type of an attribute by the dictionary; UN for private attributes.
fn usual(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}
