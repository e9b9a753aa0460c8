//! Input that `onemark-train` must refuse: weights, annotations, recipes, places.

use super::*;

pub const CASES: &[Case] = &[
    Case {
        name: "weights: no such file",
        harm: NOTHING,
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights nowhere.pth",
        says: &["nowhere.pth", "cargo xtask setup --weights"],
    },
    Case {
        name: "weights: cut short",
        harm: |here| {
            weights(here, [64, 3, 3, 3]);
            let whole = fs::read(here.join("vgg.safetensors")).unwrap();
            fs::write(here.join("vgg.safetensors"), &whole[..whole.len() - 7]).unwrap();
        },
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not a whole safetensors file"],
    },
    Case {
        name: "weights: of another network",
        harm: |here| weights(here, [32, 3, 3, 3]),
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not VGG19", "features.0.weight", "[64, 3, 3, 3]", "[32, 3, 3, 3]"],
    },
    Case {
        name: "weights: a layer is missing",
        harm: |here| weights(here, [64, 3, 3, 3]),
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights vgg.safetensors",
        says: &["vgg.safetensors is not VGG19", "features.10.weight", "found nothing"],
    },
    Case {
        name: "weights: a text file",
        harm: NOTHING,
        line: "run --recipe c-adapter-laptop --template 1 --data films --out run --weights note.txt",
        says: &["note.txt holds no whole set of weights", "safetensors or PyTorch's .pth"],
    },
    Case {
        name: "training film of wrong type",
        harm: |here| fs::write(here.join(TRAINING_FILM), "no film").unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1",
        says: &["002.png is not a film Onemark can read", "a text file", "PNG, JPEG, BMP or TIFF"],
    },
    Case {
        name: "empty annotation",
        harm: |here| fs::write(here.join(SENIOR), "").unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, "is empty", "copy it again"],
    },
    Case {
        name: "annotation with a landmark too few",
        harm: |here| edit(&here.join(JUNIOR), |text| text.lines().skip(1).map(|line| format!("{line}\n")).collect()),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[JUNIOR, "18 lines", "expected 19 landmarks"],
    },
    Case {
        name: "annotation that is not a position",
        harm: |here| edit(&here.join(SENIOR), |text| text.replacen("9,111", "nine,111", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, "line 1", "nine,111"],
    },
    Case {
        name: "annotation of one reader only",
        harm: |here| fs::remove_file(here.join(JUNIOR)).unwrap(),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &[SENIOR, JUNIOR, "no counterpart", "add it"],
    },
    Case {
        name: "landmark outside the template",
        harm: |here| {
            for reader in [SENIOR, JUNIOR] {
                edit(&here.join(reader), |text| text.replacen("9,111", "500,111", 1));
            }
        },
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1",
        says: &["001.png", "landmark 1 at x 500, y 111 lies outside its 97x120 px", "correct the annotation"],
    },
    Case {
        name: "template that is not in the dataset",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out run --device cpu --template 125",
        says: &["no film \"125\"", "films", "nearest ids are 002, 001", "--template ID"],
    },
    Case {
        name: "template without annotation",
        harm: |here| [SENIOR, JUNIOR].iter().for_each(|reader| fs::remove_file(here.join(reader)).unwrap()),
        line: "run --recipe recipe.yaml --data films --out run --device cpu --threads 1 --template 001",
        says: &["001.png is not annotated", "--template ID"],
    },
    Case {
        name: "no data",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data head.onemark --out run --device cpu",
        says: &["head.onemark is not a dataset", "RawImage/", "landmarks.csv"],
    },
    Case {
        name: "unknown key of a recipe",
        harm: |here| edit(&here.join("recipe.yaml"), |text| text.replacen("embedding:", "embeding:", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &["recipe.yaml:", "unknown field `embeding`", "did you mean `embedding`?"],
    },
    Case {
        name: "impossible value in a recipe",
        harm: |here| edit(&here.join("recipe.yaml"), |text| text.replacen("size: 64", "size: 65", 1)),
        line: "run --recipe recipe.yaml --data films --out run --device cpu",
        says: &["recipe.yaml:", "network.size", "multiple of 32"],
    },
    Case {
        name: "no such recipe",
        harm: NOTHING,
        line: "run --recipe c-adaptor --data films --out run --device cpu",
        says: &["no recipe `c-adaptor`", "did you mean `c-adapter`?"],
    },
    Case {
        name: "run below a file",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out note.txt/run --device cpu --threads 1",
        says: &["note.txt/run", "Not a directory"],
    },
    Case {
        name: "CUDA that is missing, for training",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data films --out run --device cuda",
        says: &["--device cuda", "no CUDA device", "LIBTORCH"],
    },
    Case {
        name: "nothing to resume",
        harm: NOTHING,
        line: "run --resume --data films --out run --device cpu",
        says: &["run/checkpoint.safetensors", "No such file"],
    },
    Case {
        name: "phantoms below a file",
        harm: NOTHING,
        line: "phantom --out note.txt/films --count 1",
        says: &["note.txt/films", "check that the folder is writable"],
    },
];
