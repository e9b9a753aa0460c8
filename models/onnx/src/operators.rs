//! The operators of format 1 with the attributes that its exporter writes: what each takes, and the shape that it makes. Rules are
//! those of ONNX's operator set 18, as far as format 1 needs them.

use crate::error::some;
use crate::numbers::Kind;
use crate::proto::{AttributeProto, AttributeType, DataType, NodeProto};
use crate::shapes::{PER_NUMBER, Value};

/// The inputs of a node; `None` for an optional one that is not given.
type Inputs<'a> = [Option<&'a Value<'a>>];

/// Type and shape of the result, and the multiplications that it takes. Numbers that are only read and written are counted by
/// [`crate::shapes`].
type Made = Result<(Kind, Vec<usize>, u64), String>;

/// The largest factor of an up-sampling: level 5 to the grid.
const LARGEST_FACTOR: f32 = 64.0;
/// The longest list of numbers that is an argument of an operator: the steps of a convolution's channels.
const LONGEST_LIST: usize = 65_536;

/// What a node makes of its inputs.
pub(crate) fn apply(node: &NodeProto, inputs: &Inputs<'_>) -> Made {
    let attributes = Attributes(&node.attribute);
    let known = |names: &[&str]| attributes.only(names);
    match node.op_type.as_str() {
        "Conv" => known(&["dilations", "kernel_shape", "pads", "strides"]).and_then(|()| conv(&attributes, inputs)),
        "MaxPool" => known(&["kernel_shape", "strides"]).and_then(|()| max_pool(&attributes, inputs)),
        "Resize" => known(&["coordinate_transformation_mode", "mode"]).and_then(|()| resize(&attributes, inputs)),
        "Concat" => known(&["axis"]).and_then(|()| concat(&attributes, inputs)),
        "DequantizeLinear" => known(&["axis"]).and_then(|()| dequantise(&attributes, inputs)),
        "ReduceL2" => known(&["keepdims"]).and_then(|()| reduce(&attributes, inputs)),
        "Cast" => known(&["to"]).and_then(|()| cast(&attributes, inputs)),
        "Relu" | "Identity" => known(&[]).and_then(|()| same(inputs)),
        "Add" | "Mul" | "Div" => known(&[]).and_then(|()| broadcast(inputs)),
        "MatMul" => known(&[]).and_then(|()| matrix_product(inputs)),
        "Slice" => known(&[]).and_then(|()| slice(inputs)),
        "Clip" => known(&[]).and_then(|()| clip(inputs)),
        "QuantizeLinear" => known(&[]).and_then(|()| quantise(inputs)),
        other => Err(format!("the operator {other} is not one of format 1")),
    }
}

/// A node's attributes.
struct Attributes<'a>(&'a [AttributeProto]);

impl Attributes<'_> {
    /// Refuses attributes that are not among the known ones, or are there twice.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        let twice = |index: usize, name: &str| self.0.iter().take(index).any(|other| other.name == name);
        let mut all = self.0.iter().enumerate().map(|(index, attribute)| (index, attribute.name.as_str()));
        match all.find(|(index, name)| !known.contains(name) || twice(*index, name)) {
            Some((_, name)) => Err(format!("its attribute `{name}` is not one of format 1, or is there twice")),
            None => Ok(()),
        }
    }

    fn get(&self, name: &str, kind: AttributeType) -> Result<Option<&AttributeProto>, String> {
        match self.0.iter().find(|attribute| attribute.name == name) {
            Some(attribute) if attribute.r#type != kind as i32 => {
                Err(format!("its attribute `{name}` has another type"))
            }
            found => Ok(found),
        }
    }

    /// `N` whole numbers from `least` to 4096; `default` if they are not given.
    fn numbers<const N: usize>(&self, name: &str, least: usize, default: [usize; N]) -> Result<[usize; N], String> {
        const MOST: usize = 4096;
        let Some(attribute) = self.get(name, AttributeType::Ints)? else { return Ok(default) };
        let numbers = attribute.ints.iter().map(|number| usize::try_from(*number).ok());
        let numbers: Option<Vec<usize>> = numbers.map(|one| one.filter(|one| (least..=MOST).contains(one))).collect();
        let numbers = numbers.and_then(|numbers| <[usize; N]>::try_from(numbers).ok());
        let found = || some(&attribute.ints);
        numbers.ok_or_else(|| format!("its `{name}` must be {N} numbers from {least} to {MOST}, not {}", found()))
    }

    /// Checks that a whole number, if it is given, has this value.
    fn is(&self, name: &str, value: i64, default: i64) -> Result<(), String> {
        let found = self.get(name, AttributeType::Int)?.map_or(default, |attribute| attribute.i);
        if found == value { Ok(()) } else { Err(format!("its `{name}` must be {value}, not {found}")) }
    }
}

/// The product of sides.
fn product(sides: impl IntoIterator<Item = usize>) -> u64 {
    sides.into_iter().fold(1, |product, side| product.saturating_mul(side as u64))
}

/// The inputs by place, if there are `least` to `most`.
fn take<'a, const N: usize>(inputs: &Inputs<'a>, least: usize) -> Result<[Option<&'a Value<'a>>; N], String> {
    if inputs.len() < least || inputs.len() > N {
        return Err(format!("it has {} inputs; it must have {least} to {N}", inputs.len()));
    }
    Ok(std::array::from_fn(|place| inputs.get(place).copied().flatten()))
}

fn given<'a>(value: Option<&'a Value<'a>>, kind: Kind) -> Result<&'a Value<'a>, String> {
    value.filter(|value| value.kind == kind).ok_or_else(|| "an input is missing, or has numbers of another type".into())
}

/// The four axes of a tensor of f32.
fn axes(value: Option<&Value<'_>>) -> Result<[usize; 4], String> {
    let shape = &given(value, Kind::F32)?.shape;
    <[usize; 4]>::try_from(shape.as_slice()).map_err(|_| format!("an input has the shape {shape:?}, not four axes"))
}

/// The numbers of a constant list of f32.
fn floats(value: Option<&Value<'_>>) -> Result<Vec<f32>, String> {
    Ok(list(value, Kind::F32)?.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// The numbers of a constant list of i64, none of them negative.
fn indices(value: Option<&Value<'_>>) -> Result<Vec<usize>, String> {
    let numbers = list(value, Kind::I64)?.as_chunks().0.iter();
    let numbers = numbers.map(|number| usize::try_from(i64::from_le_bytes(*number)));
    numbers.collect::<Result<_, _>>().map_err(|_| "an input has a negative number".into())
}

/// The bytes of a constant list that is not long.
fn list<'a>(value: Option<&'a Value<'a>>, kind: Kind) -> Result<&'a [u8], String> {
    let value = given(value, kind)?;
    let bytes = value.bytes.ok_or("an input must be a constant")?;
    match bytes.len() / kind.width() {
        0..=LONGEST_LIST => Ok(bytes),
        length => Err(format!("an input has {length} numbers; at most {LONGEST_LIST} are read")),
    }
}

/// The number of places of a kernel along an axis.
fn places(side: usize, pads: usize, kernel: usize, dilation: usize, stride: usize) -> Result<usize, String> {
    let reach = dilation * (kernel - 1) + 1;
    let room = (side + pads).checked_sub(reach);
    room.map(|room| room / stride + 1)
        .ok_or_else(|| format!("its kernel reaches over {reach} cells of {}", side + pads))
}

fn conv(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    let [x, weight, bias] = take::<3>(inputs, 2)?;
    let [batch, channels, rows, columns] = axes(x)?;
    let [out, depth, height, width] = axes(weight)?;
    let kernel = attributes.numbers("kernel_shape", 1, [height, width])?;
    if kernel != [height, width] {
        return Err(format!("its `kernel_shape` is {kernel:?}, but its weights are {height}x{width}"));
    }
    if depth != channels {
        return Err(format!("its weights are for {depth} channels, but its input has {channels}"));
    }
    if bias.is_some() && given(bias, Kind::F32)?.shape != [out] {
        return Err(format!("its bias must have {out} numbers"));
    }
    let [down, across] = attributes.numbers("dilations", 1, [1; 2])?;
    let [step_down, step_across] = attributes.numbers("strides", 1, [1; 2])?;
    let [top, left, bottom, right] = attributes.numbers("pads", 0, [0; 4])?;
    let rows = places(rows, top + bottom, height, down, step_down)?;
    let columns = places(columns, left + right, width, across, step_across)?;
    Ok((Kind::F32, vec![batch, out, rows, columns], product([batch, out, rows, columns, depth, height, width])))
}

fn max_pool(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    let [x] = take::<1>(inputs, 1)?;
    let [batch, channels, rows, columns] = axes(x)?;
    let [height, width] = attributes.numbers("kernel_shape", 1, [0; 2])?;
    if height == 0 {
        return Err("its `kernel_shape` is missing".into());
    }
    let [down, across] = attributes.numbers("strides", 1, [1; 2])?;
    let (rows, columns) = (places(rows, 0, height, 1, down)?, places(columns, 0, width, 1, across)?);
    // A comparison takes as long as a multiplication.
    Ok((Kind::F32, vec![batch, channels, rows, columns], product([batch, channels, rows, columns, height, width])))
}

fn resize(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    let [x, region, scales] = take::<3>(inputs, 3)?;
    let [batch, channels, rows, columns] = axes(x)?;
    let text =
        |name: &str| attributes.get(name, AttributeType::String).map(|found| found.map(|found| found.s.as_slice()));
    let is_known = matches!(text("coordinate_transformation_mode")?, Some(b"align_corners" | b"half_pixel"));
    if !is_known || text("mode")? != Some(b"linear") || region.is_some() {
        return Err("it must be linear, with aligned corners or half pixels".into());
    }
    let is_factor = |scale: &f32| (1.0..=LARGEST_FACTOR).contains(scale) && scale.fract() == 0.0;
    match floats(scales)?.as_slice() {
        [1.0, 1.0, down, across] if is_factor(down) && is_factor(across) => {
            let [rows, columns] = [(rows, down), (columns, across)].map(|(side, by)| side.saturating_mul(*by as usize));
            Ok((Kind::F32, vec![batch, channels, rows, columns], 0))
        }
        other => {
            Err(format!("its scales must be 1, 1 and two whole numbers up to {LARGEST_FACTOR}, not {}", some(other)))
        }
    }
}

fn concat(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    attributes.is("axis", 1, 0)?;
    let all = inputs.iter().map(|input| axes(*input)).collect::<Result<Vec<[usize; 4]>, String>>()?;
    let &[batch, _, rows, columns] = all.first().ok_or("it has no input")?;
    if all.iter().any(|other| [other[0], other[2], other[3]] != [batch, rows, columns]) {
        return Err(format!("its inputs do not fit together: {}", some(&all)));
    }
    let channels = all.iter().map(|other| other[1]).fold(0, usize::saturating_add);
    Ok((Kind::F32, vec![batch, channels, rows, columns], 0))
}

fn same(inputs: &Inputs<'_>) -> Made {
    let [x] = take::<1>(inputs, 1)?;
    Ok((Kind::F32, given(x, Kind::F32)?.shape.clone(), 0))
}

/// Two tensors; axes of length 1, and missing first axes, are repeated.
fn broadcast(inputs: &Inputs<'_>) -> Made {
    let [one, other] = take::<2>(inputs, 2)?;
    let [one, other] = [&given(one, Kind::F32)?.shape, &given(other, Kind::F32)?.shape];
    Ok((Kind::F32, broadcast_shape(one, other)?, 0))
}

fn broadcast_shape(one: &[usize], other: &[usize]) -> Result<Vec<usize>, String> {
    let rank = one.len().max(other.len());
    let side = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).and_then(|axis| shape.get(axis).copied()).unwrap_or(1)
    };
    let axis = |axis: usize| match (side(one, axis), side(other, axis)) {
        (one, other) if one == other || other == 1 => Ok(one),
        (1, other) => Ok(other),
        _ => Err(format!("its inputs do not fit together: {one:?} and {other:?}")),
    };
    (0..rank).map(axis).collect()
}

fn matrix_product(inputs: &Inputs<'_>) -> Made {
    let [one, other] = take::<2>(inputs, 2)?;
    let ([a, b, rows, depth], [c, d, same, columns]) = (axes(one)?, axes(other)?);
    if depth != same {
        return Err(format!("its inputs do not fit together: {depth} columns and {same} rows"));
    }
    let mut shape = broadcast_shape(&[a, b], &[c, d])?;
    shape.extend([rows, columns]);
    let products = product(shape.iter().copied().chain([depth]));
    Ok((Kind::F32, shape, products))
}

fn slice(inputs: &Inputs<'_>) -> Made {
    let [x, starts, ends, axes] = take::<4>(inputs, 4)?;
    let mut shape = given(x, Kind::F32)?.shape.clone();
    let (starts, ends, axes) = (indices(starts)?, indices(ends)?, indices(axes)?);
    if starts.len() != axes.len() || ends.len() != axes.len() || !axes.is_sorted_by(|one, next| one < next) {
        return Err("it must have a start and an end for each axis, in order".into());
    }
    for (axis, (start, end)) in axes.into_iter().zip(starts.into_iter().zip(ends)) {
        let side = shape.get_mut(axis).filter(|side| start < end && end <= **side);
        let side = side.ok_or_else(|| format!("cells {start} to {end} are not on its axis {axis}"))?;
        *side = end - start;
    }
    Ok((Kind::F32, shape, 0))
}

fn clip(inputs: &Inputs<'_>) -> Made {
    let [x, low, high] = take::<3>(inputs, 3)?;
    let (low, high) = (floats(low)?, floats(high)?);
    match (low.as_slice(), high.as_slice()) {
        ([low], [high]) if low <= high => Ok((Kind::F32, given(x, Kind::F32)?.shape.clone(), 0)),
        _ => Err(format!("its limits must be two numbers, the lower first, not {} and {}", some(&low), some(&high))),
    }
}

/// The steps between quantised values.
fn steps(scale: Option<&Value<'_>>) -> Result<Vec<f32>, String> {
    let steps = floats(scale)?;
    if steps.iter().all(|step| *step >= 0.0) { Ok(steps) } else { Err("its steps must not be negative".into()) }
}

/// Checks the zero point: 0, as u8.
fn zero(point: Option<&Value<'_>>) -> Result<(), String> {
    let point = given(point, Kind::U8)?;
    if point.bytes == Some(&[0]) { Ok(()) } else { Err("its zero point must be 0".into()) }
}

fn quantise(inputs: &Inputs<'_>) -> Made {
    let [x, scale, point] = take::<3>(inputs, 3)?;
    zero(point)?;
    match steps(scale)?.as_slice() {
        [step] if *step > 0.0 => Ok((Kind::U8, given(x, Kind::F32)?.shape.clone(), 0)),
        _ => Err("its step must be one number above 0".into()),
    }
}

fn dequantise(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    let [x, scale, point] = take::<3>(inputs, 2)?;
    let x = x.ok_or("an input is missing")?;
    let steps = steps(scale)?.len();
    match x.kind {
        // Values with one step, above zero.
        Kind::U8 if steps == 1 && point.is_some() => zero(point)?,
        // Weights with a step per output channel, around zero.
        Kind::I8 if x.shape.first() == Some(&steps) && point.is_none() => attributes.is("axis", 0, 1)?,
        _ => return Err("it must have one step, or one for each output channel".into()),
    }
    Ok((Kind::F32, x.shape.clone(), 0))
}

fn reduce(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    let [x, over] = take::<2>(inputs, 2)?;
    let [batch, channels, rows, columns] = axes(x)?;
    attributes.is("keepdims", 1, 1)?;
    match indices(over)?.as_slice() {
        [1] => Ok((Kind::F32, vec![batch, 1, rows, columns], PER_NUMBER * product([batch, channels, rows, columns]))),
        other => Err(format!("it must reduce the channels, not the axes {}", some(other))),
    }
}

fn cast(attributes: &Attributes<'_>, inputs: &Inputs<'_>) -> Made {
    attributes.is("to", DataType::Float as i64, 0)?;
    let [x] = take::<1>(inputs, 1)?;
    Ok((Kind::F32, given(x, Kind::F16)?.shape.clone(), 0))
}
