//! Input that `onemark-export` must refuse: checkpoints, places, check films.

use super::*;

pub const CASES: &[Case] = &[
    Case {
        name: "checkpoint that is a text file",
        harm: NOTHING,
        line: "note.txt --out new.onemark",
        says: &["note.txt is not a whole safetensors file"],
    },
    Case {
        name: "checkpoint of a network that is not trained",
        harm: |here| weights(here, [64, 3, 3, 3]),
        line: "vgg.safetensors --out new.onemark",
        says: &["no template vectors", "let training end"],
    },
    Case {
        name: "bundle below a file",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out note.txt/new.onemark",
        says: &["note.txt", "Not a directory"],
    },
    Case {
        name: "bundle over a folder of something else",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out films --force",
        says: &["films already exists", "not a bundle", "choose another name"],
    },
    Case {
        name: "check film of wrong type",
        harm: NOTHING,
        line: "recipe.yaml --untrained --out new.onemark --check-films note.txt",
        says: &["note.txt is not a film Onemark can read", "a text file"],
    },
];
