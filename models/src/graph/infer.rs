//! Infers the shape of an operation's result from the shapes of its operands and parameters.

use super::{Op, Shape};

/// The shape of the result, or the rule that operands or parameters break.
pub(super) fn infer_shape(op: Op, inputs: &[Shape], params: &[&[usize]]) -> Result<Shape, &'static str> {
    let same =
        |first: &Shape, second: &Shape| if first == second { Ok(*first) } else { Err("the shapes must be equal") };
    match (op, inputs, params) {
        (Op::Conv { dilation, padded, bias }, [x], [weight, rest @ ..]) => match *weight {
            [out, channels, rows, columns] if *channels == x[1] => {
                if rows % 2 == 0 || columns % 2 == 0 || dilation == 0 {
                    return Err("kernel sides must be odd and the dilation positive");
                }
                let lost = |kernel: usize| if padded { 0 } else { (kernel - 1) * dilation };
                if x[2] <= lost(*rows) || x[3] <= lost(*columns) {
                    return Err("without padding, the operand must be larger than the kernel reaches");
                }
                match (bias, rest) {
                    (false, []) => {}
                    (true, [b]) if **b == [*out] => {}
                    _ => return Err("the bias must be [out]"),
                }
                Ok([x[0], *out, x[2] - lost(*rows), x[3] - lost(*columns)])
            }
            _ => Err("the weight must be [out, in, rows, columns] with the operand's channels as in"),
        },
        (Op::BatchNorm, [x], params) if params.len() == 4 && params.iter().all(|p| **p == [x[1]]) => Ok(*x),
        (Op::Cosine, [x], [vector]) if **vector == [x[1]] => Ok([x[0], 1, x[2], x[3]]),
        (Op::Relu | Op::Clamp, [x], []) => Ok(*x),
        (Op::FakeQuantise, [x], [[]]) => Ok(*x),
        (Op::MaxPool, [x], []) if x[2] % 2 == 0 && x[3] % 2 == 0 => Ok([x[0], x[1], x[2] / 2, x[3] / 2]),
        (Op::MaxPool, [_], []) => Err("both sides must be even"),
        (Op::Upsample { factor, .. }, [x], []) if factor > 0 => Ok([x[0], x[1], x[2] * factor, x[3] * factor]),
        (Op::Crop { rows, columns }, [x], []) => match (x[2] > 2 * rows, x[3] > 2 * columns) {
            (true, true) => Ok([x[0], x[1], x[2] - 2 * rows, x[3] - 2 * columns]),
            _ => Err("the result would be empty"),
        },
        (Op::Slice { first, count }, [x], []) => match count > 0 && first + count <= x[1] {
            true => Ok([x[0], count, x[2], x[3]]),
            false => Err("the channels must exist in the operand, and be at least one"),
        },
        (Op::Concat, [first, rest @ ..], []) => {
            rest.iter().try_fold(*first, |sum, next| match (sum[0], sum[2], sum[3]) == (next[0], next[2], next[3]) {
                true => Ok([sum[0], sum[1] + next[1], sum[2], sum[3]]),
                false => Err("all axes except the channels must be equal"),
            })
        }
        (Op::Interpolate, [x, rows, columns], []) => match (rows, columns) {
            ([1, 1, height, r], [1, 1, c, width]) if (*r, *c) == (x[2], x[3]) => Ok([x[0], x[1], *height, *width]),
            _ => Err("the matrices must be [1, 1, new rows, rows] and [1, 1, columns, new columns]"),
        },
        (Op::Mul, [x, [1, 1, rows, columns]], []) if (*rows, *columns) == (x[2], x[3]) => Ok(*x),
        (Op::Add | Op::Mul, [first, second], []) => same(first, second),
        _ => Err("wrong number or shape of operands or parameters"),
    }
}
