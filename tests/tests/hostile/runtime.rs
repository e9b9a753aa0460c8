//! Input other than films that `onemark` must refuse: bundles, datasets, places, options.

use super::*;

pub const CASES: &[Case] = &[
    Case {
        name: "landmark outside a test film",
        harm: |here| {
            for reader in [SENIOR, JUNIOR] {
                edit(&here.join(reader.replace("001", "151")), |text| text.replacen("9,113", "9,1130", 1));
            }
        },
        line: "evaluate head.onemark --data films --split test1",
        says: &["151.png", "landmark 1 at x 9, y 1130 lies outside its 97x120 px", "correct the annotation"],
    },
    Case {
        name: "cycle by a template without annotation",
        harm: |here| [SENIOR, JUNIOR].iter().for_each(|reader| fs::remove_file(here.join(reader)).unwrap()),
        line: "cycle head.onemark --data films --template 001",
        says: &["film 001 is not annotated"],
    },
    Case {
        name: "films of another landmark set",
        harm: |here| {
            fs::create_dir(here.join("images")).unwrap();
            fs::copy(here.join(FILM), here.join("images/a.png")).unwrap();
            fs::write(here.join("landmarks.csv"), "image,landmark,x,y\na.png,1,5,5\n").unwrap();
        },
        line: "evaluate head.onemark --data .",
        says: &["a.png", "1 landmarks", "isbi19", "19"],
    },
    Case {
        name: "report into a folder that does not exist",
        harm: NOTHING,
        line: "evaluate head.onemark --data films --split test1 --report nowhere/report.json",
        says: &["nowhere/report.json"],
    },
    Case {
        name: "overlay below a file",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --overlay note.txt/overlays",
        says: &["note.txt/overlays", "Not a directory"],
    },
    Case {
        name: "markups without a spacing",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --mrk-json out.mrk.json",
        says: &["151.png", "mrk-json is in mm", "give --spacing"],
    },
    Case {
        name: "DICOM report on a film that is not DICOM",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --dicom-sr out.dcm",
        says: &["151.png", "is not DICOM"],
    },
    Case {
        name: "overlay over the film itself",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --overlay films/RawImage/Test1Data",
        says: &["151.png is a film"],
    },
    Case {
        name: "landmark that is not in the bundle",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --landmarks 1,selle",
        says: &["no landmark `selle`", "did you mean sella", "onemark inspect"],
    },
    Case {
        name: "bundle with a flipped bit in the weights",
        harm: |here| flip(&here.join("head.onemark").join(WEIGHTS)),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["head.onemark", WEIGHTS, "changed or damaged", "SHA-256", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a flipped bit in a graph",
        harm: |here| flip(&here.join(HEAD)),
        line: "inspect head.onemark",
        says: &["landmark-01-sella.onnx", "changed or damaged", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a file missing",
        harm: |here| fs::remove_file(here.join(HEAD)).unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["landmark-01-sella.onnx is missing", "copy or export the bundle again"],
    },
    Case {
        name: "bundle with a file too many",
        harm: |here| fs::write(here.join("head.onemark/landmark-20.onnx"), "").unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["landmark-20.onnx is not listed", "remove it"],
    },
    Case {
        name: "bundle without manifest",
        harm: |here| fs::remove_file(here.join("head.onemark").join(MANIFEST)).unwrap(),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["head.onemark is not a bundle", MANIFEST],
    },
    Case {
        name: "bundle with a tiling of 65 levels",
        harm: |here| {
            edit(&here.join("head.onemark").join(MANIFEST), |text| {
                let (before, levels) = text.split_once("    levels:\n").unwrap();
                let end = levels.find("  most:").unwrap();
                format!("{before}    levels:\n{}{}", levels[..end].repeat(65), &levels[end..])
            });
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "tiling.levels", "1 to 6"],
    },
    Case {
        name: "bundle with two landmarks of one name",
        harm: |here| {
            edit(&here.join("head.onemark").join(MANIFEST), |text| text.replacen("name: nasion", "name: sella", 1));
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "entry 2", "\"sella\" is taken"],
    },
    Case {
        name: "bundle that names an absolute path",
        harm: |here| rename_head(here, "/etc/hostname"),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "/etc/hostname", "no folders"],
    },
    Case {
        name: "bundle that names a path out of itself",
        harm: |here| rename_head(here, "../note.txt"),
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &[MANIFEST, "../note.txt", "no folders"],
    },
    Case {
        name: "bundle with a symbolic link",
        harm: |here| {
            fs::rename(here.join(HEAD), here.join("elsewhere.onnx")).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink(here.join("elsewhere.onnx"), here.join(HEAD)).unwrap();
        },
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark",
        says: &["landmark-01-sella.onnx", "not a plain file"],
    },
    Case {
        name: "wrong backend name",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --backend onxruntime",
        says: &["onxruntime", "'onnxruntime'", "tract"],
    },
    Case {
        name: "CUDA that is missing, for detecting",
        harm: NOTHING,
        line: "detect films/RawImage/Test1Data/151.png --bundle head.onemark --backend onnxruntime-cuda",
        says: &["can't be used"],
    },
];
