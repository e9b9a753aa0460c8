//! Loads the trunk's weights: VGG19's convolutions as torchvision names them, from a safetensors file or from torchvision's
//! own `.pth`, whose pickle is interpreted and never executed. The trunk's graph states which parameters there are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use half::{bf16, f16};
use ndarray::ArrayD;
use onemark_models::checkpoint::{self, Tensors};
use onemark_models::graph::{ParamShapes, Parameters};
use onemark_models::network::torchvision;
use pytorch_reader::{DType, PytorchReader, Tensor};

use crate::TrainError;

/// Reads the parameters in `expected`, under torchvision's names (`features.0.weight`, OIHW), as f32; f32, f16 and bf16
/// files are read. Other tensors in the file (torchvision's `classifier.*`) are ignored.
///
/// # Errors
/// No such file, not a weights file, cut short; a tensor missing, of another shape or type, or with values not finite.
pub fn load(path: &Path, expected: &ParamShapes) -> Result<Parameters, TrainError> {
    let mut file = open(path)?;
    let mut trunk = Parameters::new();
    for (param, shape) in expected {
        let tensor = &torchvision(param);
        let wrong = |found: String| TrainError::NotVgg19 {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            expected: shape.clone(),
            found,
        };
        let array = match &mut file {
            Weights::Safetensors(tensors) => tensors.remove(tensor).ok_or_else(|| wrong("nothing".into()))?,
            Weights::Pth(tensors) => {
                let lazy = tensors.get(tensor).ok_or_else(|| wrong("nothing".into()))?;
                if lazy.shape() != shape {
                    // Before its bytes are read: a wrong file may be a large one.
                    return Err(wrong(format!("{:?}", lazy.shape())));
                }
                read_pth(path, lazy)?.ok_or_else(|| wrong(format!("{:?} values", lazy.dtype())))?
            }
        };
        if array.shape() != shape {
            return Err(wrong(format!("{:?}", array.shape())));
        }
        if !array.iter().all(|value| value.is_finite()) {
            return Err(TrainError::NotFinite { path: path.to_owned(), tensor: tensor.to_owned() });
        }
        trunk.insert(param.clone(), array);
    }
    Ok(trunk)
}

enum Weights {
    Safetensors(Tensors),
    /// By name; bytes are read one tensor at a time, because most of torchvision's file is the classifier.
    Pth(BTreeMap<String, Tensor>),
}

/// Decides by content: a safetensors file starts with the length of its header, eight bytes, and the header's brace.
fn open(path: &Path) -> Result<Weights, TrainError> {
    let mut start = Vec::new();
    match File::open(path).and_then(|file| file.take(9).read_to_end(&mut start)) {
        Ok(_) if start.get(8) == Some(&b'{') => Ok(Weights::Safetensors(checkpoint::read_safetensors(path)?.0)),
        Ok(_) => match PytorchReader::new(path) {
            Ok(reader) => Ok(Weights::Pth(reader.into_tensors().into_iter().collect())),
            Err(source) => Err(TrainError::NotWeights { path: path.to_owned(), source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TrainError::NoWeights { path: path.to_owned() }),
        Err(source) => Err(TrainError::Read { path: path.to_owned(), source }),
    }
}

/// The tensor's values, or `None` if weights never have their type.
fn read_pth(path: &Path, tensor: &Tensor) -> Result<Option<ArrayD<f32>>, TrainError> {
    let io = |source| TrainError::Read { path: path.to_owned(), source };
    let bytes = tensor.read().map_err(io)?;
    let values: Vec<f32> = match tensor.dtype() {
        DType::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect(),
        DType::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_ne_bytes(*bytes).to_f32()).collect(),
        DType::BF16 => bytes.as_chunks().0.iter().map(|bytes| bf16::from_ne_bytes(*bytes).to_f32()).collect(),
        _ => return Ok(None),
    };
    let array = ArrayD::from_shape_vec(tensor.shape(), values);
    array.map(Some).map_err(|error| io(io::Error::new(io::ErrorKind::InvalidData, error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::fs;

    use onemark_models::graph::{Owner, ParamId, Role};
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    /// Made by tests/goldens/vgg.py.
    const FILES: [&[u8]; 2] =
        [include_bytes!("../../tests/goldens/tiny-zip.pth"), include_bytes!("../../tests/goldens/tiny-legacy.pth")];

    /// Bytes from cut to cut, a prime so as to hit every part of a record.
    const CUT_STEP: usize = 7;

    fn param(tensor: &str) -> ParamId {
        let (path, role) = tensor.rsplit_once('.').unwrap();
        Owner::Trunk.node(path).param(if role == "weight" { Role::Weight } else { Role::Bias })
    }

    fn expect(tensor: &str, shape: &[usize]) -> ParamShapes {
        [(param(tensor), shape.to_vec())].into()
    }

    fn load_bytes(bytes: &[u8], expected: &ParamShapes) -> Result<Parameters, TrainError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        fs::write(&path, bytes).unwrap();
        load(&path, expected)
    }

    fn safetensors(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
        safetensors::serialize([(name, TensorView::new(dtype, shape.to_vec(), bytes).unwrap())], None).unwrap()
    }

    #[test]
    fn both_forms_of_torch_save_are_read() {
        let mut expected = expect("features.0.weight", &[2, 3, 3, 3]);
        expected.extend(expect("features.0.bias", &[2]));
        for file in FILES {
            let trunk = load_bytes(file, &expected).unwrap();
            // As vgg.py lays it out: 1, 2, 3, … over a buffer whose axes are the weight's, reversed.
            let number = |index: ndarray::IxDyn| 1 + index[0] + 2 * (index[1] + 3 * (index[2] + 3 * index[3]));
            let weight = ArrayD::from_shape_fn(vec![2, 3, 3, 3], |index| number(index) as f32);
            assert_eq!(trunk[&param("features.0.weight")], weight);
            assert_eq!(trunk[&param("features.0.bias")], ndarray::arr1(&[0.5, -0.25]).into_dyn());
            assert_eq!(trunk.len(), expected.len());
        }
    }

    #[test]
    fn half_precision_safetensors_are_read() {
        let bytes = [f16::from_f32(1.5).to_le_bytes(), f16::from_f32(-2.0).to_le_bytes()].concat();
        let file = safetensors("features.0.bias", Dtype::F16, &[2], &bytes);
        let trunk = load_bytes(&file, &expect("features.0.bias", &[2])).unwrap();
        assert_eq!(trunk[&param("features.0.bias")], ndarray::arr1(&[1.5, -2.0]).into_dyn());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("no/such.pth"), &ParamShapes::new()).unwrap_err();
        assert!(matches!(error, TrainError::NoWeights { .. }) && error.to_string().contains("no/such.pth"), "{error}");
    }

    #[test]
    fn what_is_not_vgg19_is_refused() {
        let file = safetensors("features.0.bias", Dtype::F32, &[2], &[0; 8]);
        for file in [FILES[0], FILES[1], &file] {
            let missing = load_bytes(file, &expect("features.34.weight", &[512, 512, 3, 3])).unwrap_err().to_string();
            assert!(missing.contains("features.34.weight") && missing.contains("nothing"), "{missing}");
            let shape = load_bytes(file, &expect("features.0.bias", &[64])).unwrap_err().to_string();
            assert!(shape.contains("features.0.bias should be [64], found [2]"), "{shape}");
        }
        for file in FILES {
            let dtype = load_bytes(file, &expect("classifier.0.weight", &[2, 4])).unwrap_err().to_string();
            assert!(dtype.contains("I64"), "{dtype}");
            let error = load_bytes(file, &expect("features.2.weight", &[2])).unwrap_err();
            assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
        }
    }

    #[test]
    fn files_cut_short_anywhere_are_refused() {
        let expected = expect("features.0.bias", &[2]);
        let safetensors = safetensors("features.0.bias", Dtype::F32, &[2], &[0; 8]);
        for file in [FILES[0], FILES[1], &safetensors] {
            assert!(load_bytes(file, &expected).is_ok());
            for length in (0..file.len()).step_by(CUT_STEP).chain([file.len() - 1]) {
                assert!(load_bytes(&file[..length], &expected).is_err(), "{} bytes cut to {length}", file.len());
            }
        }
    }

    #[test]
    fn other_files_are_refused_and_no_pickle_is_executed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", victim.display());
        for bytes in [pickle.as_bytes(), b"<html>404 Not Found</html>", b"\x89PNG\r\n\x1a\n", b""] {
            assert!(load_bytes(bytes, &expect("features.0.bias", &[2])).is_err());
        }
        assert!(!victim.exists());
    }
}
