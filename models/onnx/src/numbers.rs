//! The numbers of constants: as many as the shape says, finite, and not too large to compute with.

use crate::error::{OnnxError, some};
use crate::proto::{DataType, TensorProto};

/// The largest absolute value of a constant. Products of a few such numbers are still finite in single precision.
pub const LARGEST_NUMBER: f32 = 1e9;
/// The largest number of elements of a tensor.
pub const MOST_ELEMENTS: usize = 1 << 28;
/// The largest number of axes of a tensor. Bundles use four.
const MOST_AXES: usize = 8;

/// A type of numbers that a bundle uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    F32,
    F16,
    U8,
    I8,
    I64,
}

impl Kind {
    pub(crate) fn of(data_type: i32) -> Option<Self> {
        let kinds = [
            (DataType::Float, Self::F32),
            (DataType::Float16, Self::F16),
            (DataType::Uint8, Self::U8),
            (DataType::Int8, Self::I8),
            (DataType::Int64, Self::I64),
        ];
        kinds.into_iter().find(|(code, _)| *code as i32 == data_type).map(|(_, kind)| kind)
    }

    pub(crate) fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }

    /// Whether all numbers in these bytes are finite and at most [`LARGEST_NUMBER`] in absolute value.
    fn are_usable(self, bytes: &[u8]) -> bool {
        // Without a branch per number, the compiler makes wide instructions of these loops.
        match self {
            Self::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .fold(true, |good, number| good & (f32::from_le_bytes(*number).abs() <= LARGEST_NUMBER)),
            // All exponent bits are 1 in NaN and infinity only; the largest number is 65504.
            Self::F16 => bytes
                .as_chunks()
                .0
                .iter()
                .fold(true, |good, number| good & (u16::from_le_bytes(*number) & 0x7C00 != 0x7C00)),
            Self::U8 | Self::I8 | Self::I64 => true,
        }
    }
}

/// The number of elements of a shape, if there are 1 to [`MOST_ELEMENTS`], along at most [`MOST_AXES`].
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    let elements = shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
    elements.filter(|elements| (1..=MOST_ELEMENTS).contains(elements) && shape.len() <= MOST_AXES)
}

/// The type and the shape of a constant whose numbers are `bytes`.
pub(crate) fn describe(tensor: &TensorProto, bytes: &[u8]) -> Result<(Kind, Vec<usize>), OnnxError> {
    let refuse = |why: String| OnnxError::Constant { tensor: tensor.name.clone(), why };
    let kind = Kind::of(tensor.data_type);
    let kind = kind.ok_or_else(|| refuse(format!("it has numbers of type {}", tensor.data_type)))?;
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|side| usize::try_from(*side).ok()).collect();
    let length = shape.as_deref().and_then(elements).and_then(|elements| elements.checked_mul(kind.width()));
    match (shape, length) {
        (Some(shape), Some(length)) if length == bytes.len() => Ok((kind, shape)),
        _ => Err(refuse(format!("{} bytes are not the numbers of its shape {}", bytes.len(), some(&tensor.dims)))),
    }
}

/// Refuses numbers that can't be computed with.
pub(crate) fn validate(tensor: &TensorProto, kind: Kind, bytes: &[u8]) -> Result<(), OnnxError> {
    if kind.are_usable(bytes) {
        return Ok(());
    }
    let why = "it holds a number that is not finite or larger than 1e9; export the bundle again";
    Err(OnnxError::Constant { tensor: tensor.name.clone(), why: why.into() })
}

/// Refuses numbers in other fields than `raw_data`: parsers differ in which field they prefer.
pub(crate) fn validate_fields(tensor: &TensorProto) -> Result<(), OnnxError> {
    let TensorProto { float_data, int32_data, string_data, int64_data, double_data, uint64_data, .. } = tensor;
    let lengths = [float_data.len(), int32_data.len(), string_data.len(), int64_data.len(), double_data.len()];
    if lengths.into_iter().chain([uint64_data.len()]).all(|length| length == 0) {
        return Ok(());
    }
    Err(OnnxError::Constant { tensor: tensor.name.clone(), why: "its numbers are not stored as raw data".into() })
}
