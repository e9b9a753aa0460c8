//! The parts of a DICOM report: codes and content items (PS3.3 C.17.3) as data elements.

use dicom_core::dictionary::DataDictionaryEntry as _;
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use onemark_film::visible::{cut, visible};

/// Length of the longest code that fits a plain code value (VR SH).
const SHORT: usize = 16;
/// Length of the longest meaning of a code (VR LO).
const LONG: usize = 64;

/// A code from a coding scheme, with its meaning in words (PS3.3 section 8).
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    pub scheme: &'a str,
    pub value: &'a str,
    pub meaning: &'a str,
}

/// A code from DICOM's own scheme.
pub const fn dcm<'a>(value: &'a str, meaning: &'a str) -> Code<'a> {
    Code { scheme: "DCM", value, meaning }
}

/// A text element with the VR from the dictionary; `tag` must be in the dictionary.
pub fn text(tag: Tag, value: &str) -> InMemElement {
    use dicom_core::DataDictionary as _;
    let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// A sequence of items.
pub fn sequence(tag: Tag, items: Vec<Vec<InMemElement>>) -> InMemElement {
    let items: Vec<_> = items.into_iter().map(InMemDicomObject::from_element_iter).collect();
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// The relationship of a content item to its parent.
#[derive(Clone, Copy, Debug)]
pub enum Relation {
    Contains,
    HasConceptMod,
    HasObsContext,
    HasProperties,
    InferredFrom,
    SelectedFrom,
}

/// A content item: its value type, concept name and value.
pub struct Item(Vec<InMemElement>);

impl Item {
    fn new(kind: &str, concept: Option<Code<'_>>, rest: impl IntoIterator<Item = InMemElement>) -> Self {
        let concept = concept.map(|concept| code_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, concept));
        Self([text(tags::VALUE_TYPE, kind)].into_iter().chain(concept).chain(rest).collect())
    }

    pub fn container(concept: Code<'_>) -> Self {
        Self::new("CONTAINER", Some(concept), [text(tags::CONTINUITY_OF_CONTENT, "SEPARATE")])
    }

    pub fn text(concept: Code<'_>, value: &str) -> Self {
        Self::new("TEXT", Some(concept), [text(tags::TEXT_VALUE, &visible(value))])
    }

    pub fn code(concept: Code<'_>, value: Code<'_>) -> Self {
        Self::new("CODE", Some(concept), [code_sequence(tags::CONCEPT_CODE_SEQUENCE, value)])
    }

    pub fn uid(concept: Code<'_>, value: &str) -> Self {
        Self::new("UIDREF", Some(concept), [text(tags::UID, value)])
    }

    /// A number with its unit, a UCUM code.
    pub fn number(concept: Code<'_>, value: f64, [unit, meaning]: [&str; 2]) -> Self {
        let unit = Code { scheme: "UCUM", value: unit, meaning };
        let value = vec![
            // A decimal string holds 16 characters.
            text(tags::NUMERIC_VALUE, &format!("{value:.4}")),
            code_sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit),
        ];
        Self::new("NUM", Some(concept), [sequence(tags::MEASURED_VALUE_SEQUENCE, vec![value])])
    }

    /// A point on an image: column, then row, from the top-left corner of the first pixel.
    pub fn point(x: f64, y: f64) -> Self {
        let place = PrimitiveValue::F32([x as f32, y as f32].as_slice().into());
        let place = DataElement::new(tags::GRAPHIC_DATA, VR::FL, place);
        Self::new("SCOORD", None, [place, text(tags::GRAPHIC_TYPE, "POINT")])
    }

    pub fn image(sop_class: &str, sop_instance: &str) -> Self {
        let image = reference(sop_class, sop_instance);
        Self::new("IMAGE", None, [sequence(tags::REFERENCED_SOP_SEQUENCE, vec![image])])
    }

    /// The same item with children.
    pub fn with(mut self, children: Vec<(Relation, Self)>) -> Self {
        let relation = |relation| match relation {
            Relation::Contains => "CONTAINS",
            Relation::HasConceptMod => "HAS CONCEPT MOD",
            Relation::HasObsContext => "HAS OBS CONTEXT",
            Relation::HasProperties => "HAS PROPERTIES",
            Relation::InferredFrom => "INFERRED FROM",
            Relation::SelectedFrom => "SELECTED FROM",
        };
        if !children.is_empty() {
            let children = children.into_iter().map(|(how, Self(mut elements))| {
                elements.push(text(tags::RELATIONSHIP_TYPE, relation(how)));
                elements
            });
            self.0.push(sequence(tags::CONTENT_SEQUENCE, children.collect()));
        }
        self
    }

    /// The same item, marked as following one of DICOM's templates.
    pub fn by_template(mut self, template: &str) -> Self {
        let template = vec![text(tags::MAPPING_RESOURCE, "DCMR"), text(tags::TEMPLATE_IDENTIFIER, template)];
        self.0.push(sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]));
        self
    }

    pub fn into_elements(self) -> Vec<InMemElement> {
        self.0
    }
}

/// The elements that refer to an image.
pub fn reference(sop_class: &str, sop_instance: &str) -> Vec<InMemElement> {
    vec![text(tags::REFERENCED_SOP_CLASS_UID, sop_class), text(tags::REFERENCED_SOP_INSTANCE_UID, sop_instance)]
}

fn code_sequence(tag: Tag, Code { scheme, value, meaning }: Code<'_>) -> InMemElement {
    // In these attributes a backslash would begin another value.
    let one_value = |text: &str| visible(text).replace('\\', "/");
    let (value, meaning) = (one_value(value), one_value(&cut(meaning, LONG)));
    let value = text(if value.len() > SHORT { tags::LONG_CODE_VALUE } else { tags::CODE_VALUE }, &value);
    sequence(tag, vec![vec![value, text(tags::CODING_SCHEME_DESIGNATOR, scheme), text(tags::CODE_MEANING, &meaning)]])
}
