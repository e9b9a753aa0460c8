//! Winograd's convolution F(4x4, 3x3) for tract: sixteen outputs of a 3x3 kernel take 36 products instead of 144.
//!
//! A film's field is cut into tiles of 6x6 cells, each four cells from the next. Tiles and kernels are transformed; position by
//! position, a matrix product over the channels multiplies them; what comes of it is transformed back into 4x4 cells: a batch of
//! tiles at a time, since all of them are more than caches hold. The products are tract's own. Lavin and Gray, Fast algorithms for convolutional neural networks (2016), give the transforms. Where the kernel is
//! dilated, a tile's cells lie as far apart as the kernel's, and tiles interlace.

use std::array::from_fn;

use tract_linalg::multithread::par_chunks_mut;
use tract_onnx::prelude::tract_ndarray::{Array3, ArrayView4, Ix4, s};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::PoolSpec;
use tract_onnx::tract_core::ops::cnn::conv::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::DataFormat;
use wide::f32x8;

/// Side of what a tile gives.
const CELLS: usize = 4;
/// Side of a tile.
const TILE: usize = CELLS + 2;
/// Products a tile and channel.
const PRODUCTS: usize = TILE * TILE;
/// Tiles that are transformed at once.
const LANES: usize = 8;
/// Transforming a number takes about as long as so many products. With few channels, or few cells in a tile (small fields, far dilated
/// kernels), that is more than is saved: by timing, 64 channels on a large field gain, 96 with tiles filled to three quarters lose.
const TRANSFORM: usize = 85;
/// Numbers in a batch of tiles and its products: few enough to stay in a processor's cache, or nearly.
const BATCH: usize = 4 << 20;

/// Puts Winograd's convolution in place of all that it suits: 3x3 with constant weights, all channels to all, on the field of one film.
pub(super) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    for node in model.eval_order()? {
        if let Some(patch) = patch(model, model.node(node))? {
            patch.apply(model)?;
        }
    }
    Ok(())
}

fn patch(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(conv) = node.op_as::<Conv>() else { return Ok(None) };
    let [field, kernel, bias] = *node.inputs else { return Ok(None) };
    let pool = &conv.pool_spec;
    let suits = conv.q_params.is_none()
        && conv.group == 1
        && conv.kernel_fmt == KernelFormat::OIHW
        && pool.data_format == DataFormat::NCHW
        && *pool.kernel_shape == [3, 3]
        && *pool.strides() == [1, 1];
    let fact = model.outlet_fact(field)?;
    let (Some(&[1, _, rows, columns]), Some(kernel)) = (fact.shape.as_concrete(), &model.outlet_fact(kernel)?.konst)
    else {
        return Ok(None);
    };
    let cover = Cover::of(pool, [rows, columns]);
    if !suits || fact.datum_type != f32::datum_type() || !cover.saves(pool.input_channels, pool.output_channels) {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::new("Winograd's convolution");
    let inputs = [patch.tap_model(model, field)?, patch.tap_model(model, bias)?];
    let cells = patch.wire_node(&node.name, Winograd::new(cover, pool, kernel)?, &inputs)?[0];
    patch.shunt_outside(model, node.id.into(), cells)?;
    Ok(Some(patch))
}

/// A kernel `[outputs, inputs, 3, 3]` as `[36, outputs, inputs]`.
fn transformed(kernel: &Tensor) -> TractResult<Tensor> {
    let kernel = kernel.to_plain_array_view::<f32>()?.into_dimensionality::<Ix4>()?;
    let (outputs, inputs, ..) = kernel.dim();
    let mut all = Array3::zeros((PRODUCTS, outputs, inputs));
    for output in 0..outputs {
        for input in 0..inputs {
            let taps: [[f64; 3]; 3] = from_fn(|row| from_fn(|column| f64::from(kernel[[output, input, row, column]])));
            for (product, value) in both(taps, of_kernel).as_flattened().iter().enumerate() {
                all[[product, output, input]] = *value as f32;
            }
        }
    }
    Ok(all.into_tensor())
}

/// A transform along both axes of a square.
#[inline]
fn both<T: Copy, const N: usize, const M: usize>(square: [[T; N]; N], along: fn([T; N]) -> [T; M]) -> [[T; M]; M] {
    let rows = square.map(along);
    let columns: [[T; M]; M] = from_fn(|column| along(from_fn(|row| rows[row][column])));
    from_fn(|row| from_fn(|column| columns[column][row]))
}

/// G, in the paper's words.
fn of_kernel([a, b, c]: [f64; 3]) -> [f64; TILE] {
    let (even, odd) = (a + c, a / 24.0 + c / 6.0);
    [a / 4.0, -(even + b) / 6.0, (b - even) / 6.0, odd + b / 12.0, odd - b / 12.0, c]
}

/// B, transposed.
fn of_tiles([a, b, c, d, e, f]: [f32x8; TILE]) -> [f32x8; TILE] {
    let (outer, inner, far, near) = (e - c * 4.0, d - b * 4.0, e - c, (d - b) * 2.0);
    [a * 4.0 - c * 5.0 + e, outer + inner, outer - inner, far + near, far - near, b * 4.0 - d * 5.0 + f]
}

/// A, transposed.
fn of_products([a, b, c, d, e, f]: [f32x8; TILE]) -> [f32x8; CELLS] {
    let (near, across, far, beyond) = (b + c, b - c, d + e, d - e);
    [a + near + far, across + beyond * 2.0, near + far * 4.0, across + beyond * 8.0 + f]
}

/// How tiles cover a field along one of its axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Along {
    /// Cells that are made.
    cells: usize,
    /// Zeros before the field that is read.
    before: usize,
    /// From one cell of a tile to the next.
    step: usize,
}

impl Along {
    fn tiles(self) -> usize {
        self.step * self.cells.div_ceil(self.step * CELLS)
    }

    /// The first cell that a tile gives: as many tiles as the step is long interlace, then come the next.
    fn start(self, tile: usize) -> usize {
        tile % self.step + CELLS * (tile - tile % self.step)
    }

    /// Cells that all tiles together read.
    fn read(self) -> usize {
        self.start(self.tiles() - 1) + (TILE - 1) * self.step + 1
    }
}

/// The tiles that cover a field: rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cover([Along; 2]);

impl Cover {
    /// For a convolution on a field of `sides`.
    fn of(pool: &PoolSpec, sides: [usize; 2]) -> Self {
        let padded = pool.computed_padding(&sides);
        Self(from_fn(|axis| Along {
            cells: padded[axis].convoluted,
            before: padded[axis].pad_before,
            step: pool.dilation(axis),
        }))
    }

    /// Whether it is faster than nine products a cell.
    fn saves(self, inputs: usize, outputs: usize) -> bool {
        let Self([rows, columns]) = self;
        let tiled = self.count() * PRODUCTS * (inputs * outputs + TRANSFORM * (inputs + outputs));
        tiled < rows.cells * columns.cells * 9 * inputs * outputs
    }

    fn tiles(self) -> usize {
        self.0.map(Along::tiles).iter().product()
    }

    /// How many there are, as [`LANES`] at a time are transformed.
    fn count(self) -> usize {
        self.tiles().next_multiple_of(LANES)
    }

    /// The first row and column of each tile's cells, row by row. What only fills up `multiple` is the last one again.
    fn corners(self, multiple: usize) -> Vec<(usize, usize)> {
        let Self([rows, columns]) = self;
        let tiles = (0..self.tiles().next_multiple_of(multiple)).map(|tile| tile.min(self.tiles() - 1));
        tiles.map(|tile| (rows.start(tile / columns.tiles()), columns.start(tile % columns.tiles()))).collect()
    }
}

/// The convolution, of a field `[1, inputs, rows, columns]` and a bias.
#[derive(Clone, Debug)]
struct Winograd {
    cover: Cover,
    /// Tiles in a batch.
    batch: usize,
    /// Multiplies a batch `[inputs, 36, tiles]` by the kernel: `[outputs, 36, tiles]`.
    product: Arc<TypedSimplePlan>,
    outputs: usize,
}

impl PartialEq for Winograd {
    fn eq(&self, other: &Self) -> bool {
        self.cover == other.cover && Arc::ptr_eq(&self.product, &other.product)
    }
}

impl Eq for Winograd {}

impl Winograd {
    fn new(cover: Cover, pool: &PoolSpec, kernel: &Tensor) -> TractResult<Self> {
        let (inputs, outputs) = (pool.input_channels, pool.output_channels);
        let batches = (cover.count() * PRODUCTS * (inputs + outputs)).div_ceil(BATCH);
        let batch = cover.count().div_ceil(batches).next_multiple_of(LANES);
        let mut model = TypedModel::default();
        let tiles = model.add_source("tiles", f32::fact([inputs, PRODUCTS, batch]))?;
        let kernel = model.add_const("kernel", transformed(kernel)?)?;
        let product = EinSum::new("poi,ipt->opt".parse()?, f32::datum_type());
        let product = model.wire_node("product", product, &[kernel, tiles])?;
        model.select_output_outlets(&product)?;
        Ok(Self { cover, batch, product: model.into_optimized()?.into_runnable()?, outputs })
    }

    /// Cuts a batch of tiles out of the field, with zeros about it, and transforms them.
    fn cut(&self, field: &ArrayView4<'_, f32>, corners: &[(usize, usize)], tiles: &mut [f32]) -> TractResult<()> {
        let Cover([rows, columns]) = self.cover;
        let (length, width) = (field.dim().3, columns.read());
        let top = corners[0].0;
        let height = corners[corners.len() - 1].0 + (TILE - 1) * rows.step + 1 - top;
        let (each, total) = (PRODUCTS * self.batch, tiles.len());
        par_chunks_mut(tiles, each, total, |first, chunk| {
            let mut padded = vec![0.0; height * width];
            for (channel, tiles) in chunk.chunks_exact_mut(each).enumerate() {
                for (row, cells) in field.slice(s![0, first + channel, .., ..]).outer_iter().enumerate() {
                    let Some(row) = (rows.before + row).checked_sub(top).filter(|row| *row < height) else { continue };
                    let padded = &mut padded[row * width + columns.before..][..length];
                    padded.iter_mut().zip(cells).for_each(|(padded, cell)| *padded = *cell);
                }
                for (first, corners) in (0..).step_by(LANES).zip(corners.chunks_exact(LANES)) {
                    let starts: [usize; LANES] = from_fn(|lane| (corners[lane].0 - top) * width + corners[lane].1);
                    let cells = |at: usize| f32x8::new(from_fn(|lane| padded[starts[lane] + at]));
                    let squares =
                        from_fn(|row| from_fn(|column| cells(row * rows.step * width + column * columns.step)));
                    for (product, values) in both(squares, of_tiles).as_flattened().iter().enumerate() {
                        tiles[product * self.batch + first..][..LANES].copy_from_slice(values.as_array_ref());
                    }
                }
            }
            Ok(())
        })
    }

    /// Transforms a batch of products back into the field's cells and adds the bias.
    fn put(&self, products: &[f32], bias: &[f32], corners: &[(usize, usize)], field: &mut [f32]) -> TractResult<()> {
        let Cover([rows, columns]) = self.cover;
        let (each, size, total) = (PRODUCTS * self.batch, rows.cells * columns.cells, field.len());
        par_chunks_mut(field, size, total, |first, chunk| {
            for (channel, cells) in (first..).zip(chunk.chunks_exact_mut(size)) {
                let bias = bias[channel % bias.len()];
                let products = &products[channel * each..][..each];
                for (first, corners) in (0..).step_by(LANES).zip(corners.chunks_exact(LANES)) {
                    let of = |product: usize| {
                        let values = &products[product * self.batch + first..][..LANES];
                        f32x8::new(from_fn(|lane| values[lane]))
                    };
                    let squares = from_fn(|row| from_fn(|column| of(row * TILE + column)));
                    let values = both(squares, of_products).map(|row| row.map(|values| (values + bias).to_array()));
                    for (lane, &(top, left)) in corners.iter().enumerate() {
                        for (row, values) in (top..rows.cells).step_by(rows.step).zip(&values) {
                            let cells = &mut cells[row * columns.cells..][..columns.cells];
                            for (column, values) in values.iter().enumerate() {
                                if let Some(cell) = cells.get_mut(left + column * columns.step) {
                                    *cell = values[lane];
                                }
                            }
                        }
                    }
                }
            }
            Ok(())
        })
    }
}

impl Op for Winograd {
    fn name(&self) -> StaticName {
        "Winograd".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Winograd {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (field, bias) = args_2!(inputs);
        let field = field.to_plain_array_view::<f32>()?.into_dimensionality::<Ix4>()?;
        let bias = bias.try_as_plain_ram()?.as_slice::<f32>()?;
        let Cover([rows, columns]) = self.cover;
        let mut made = Tensor::zero::<f32>(&[1, self.outputs, rows.cells, columns.cells])?;
        let mut tiles = Tensor::zero::<f32>(&[field.dim().1, PRODUCTS, self.batch])?;
        for corners in self.cover.corners(self.batch).chunks_exact(self.batch) {
            self.cut(&field, corners, tiles.try_as_plain_ram_mut()?.as_slice_mut()?)?;
            let batch = tiles.into_tvalue();
            let products = self.product.run(tvec![batch.clone()])?;
            tiles = batch.into_tensor();
            let products = products[0].try_as_plain_ram()?.as_slice::<f32>()?;
            self.put(products, bias, corners, made.try_as_plain_ram_mut()?.as_slice_mut()?)?;
        }
        Ok(tvec![made.into_tvalue()])
    }
}

impl TypedOp for Winograd {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Cover([rows, columns]) = self.cover;
        Ok(tvec![f32::fact([1, self.outputs, rows.cells, columns.cells])])
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tract_onnx::tract_core::ops::cnn::PaddingSpec;

    use super::*;

    const INPUTS: usize = 256;
    const OUTPUTS: usize = 197;
    /// More roundings than a plain sum has, of values about 1.
    const ROUNDING: f32 = 2e-5;

    /// Numbers between -1 and 1 without a pattern that a transform could share.
    fn numbers(shape: &[usize], seed: u64) -> Tensor {
        let mut state = seed;
        let mut tensor = Tensor::zero::<f32>(shape).unwrap();
        for value in tensor.try_as_plain_ram_mut().unwrap().as_slice_mut::<f32>().unwrap() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
        }
        tensor
    }

    fn convolution([rows, columns]: [usize; 2], outputs: usize, padding: usize, dilation: usize) -> TypedModel {
        let mut model = TypedModel::default();
        let film = model.add_source("x", f32::fact([1, INPUTS, rows, columns])).unwrap();
        let kernel = model.add_const("kernel", numbers(&[outputs, INPUTS, 3, 3], 1)).unwrap();
        let bias = model.add_const("bias", numbers(&[outputs], 2)).unwrap();
        let padding = PaddingSpec::Explicit(tvec![padding; 2], tvec![padding; 2]);
        let pool =
            PoolSpec::new(DataFormat::NCHW, tvec![3, 3], padding, Some(tvec![dilation; 2]), None, INPUTS, outputs);
        let conv = Conv { pool_spec: pool, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        let y = model.wire_node("y", conv, &[film, kernel, bias]).unwrap();
        model.select_output_outlets(&y).unwrap();
        model
    }

    fn rewritten(mut model: TypedModel) -> TypedModel {
        rewrite(&mut model).unwrap();
        model
    }

    fn is_left(model: &TypedModel) -> bool {
        model.nodes().iter().any(|node| node.op_is::<Conv>())
    }

    #[test]
    fn it_gives_what_the_convolution_gives() {
        // Whole tiles, parts of tiles, fewer tiles than lanes, padded and not; tiles that interlace, evenly and not.
        for (sides, padding, dilation) in [
            ([24, 24], 1, 1),
            ([10, 13], 1, 1),
            ([8, 8], 1, 1),
            ([12, 17], 0, 1),
            ([24, 24], 3, 3),
            ([24, 26], 7, 7),
            ([30, 40], 0, 5),
            // In batches, the last of which is not full.
            ([60, 200], 1, 1),
            ([64, 122], 2, 2),
        ] {
            let model = convolution(sides, OUTPUTS, padding, dilation);
            let run = |model: TypedModel| {
                let film = numbers(&[1, INPUTS, sides[0], sides[1]], 3).into_tvalue();
                let plan = model.into_optimized().unwrap().into_runnable().unwrap();
                plan.run(tvec![film]).unwrap()[0].to_plain_array_view::<f32>().unwrap().to_owned()
            };
            let tiled = rewritten(model.clone());
            assert!(!is_left(&tiled), "{sides:?}, dilated {dilation}");
            let (plain, tiled) = (run(model), run(tiled));
            assert_eq!(plain.shape(), tiled.shape());
            let largest = plain.iter().zip(&tiled).map(|(plain, tiled)| (plain - tiled).abs()).fold(0.0, f32::max);
            let scale = plain.iter().copied().map(f32::abs).fold(0.0, f32::max);
            assert!(largest <= ROUNDING * scale, "{sides:?}, dilated {dilation}: {largest} of {scale}");
        }
    }

    #[test]
    fn others_are_left_alone() {
        let few_channels = convolution([24, 24], 32, 1, 1);
        let few_cells = convolution([5, 5], OUTPUTS, 1, 1);
        let far_dilated = convolution([24, 24], OUTPUTS, 9, 9);
        assert!([few_channels, few_cells, far_dilated].into_iter().map(rewritten).all(|model| is_left(&model)));
    }
}
