"""The files of `onemark detect` satisfy the published schemas, and the formats agree.

Takes the binaries from ONEMARK_BIN_DIR (default: target/debug). slicer-markups-v1.0.3.json is 3D Slicer's own schema
(Modules/Loadable/Markups/Resources/Schema of github.com/Slicer/Slicer, under Slicer's BSD-style licence).
"""

import csv
import json
import os
import subprocess
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))
SPACING = (0.1, 0.2)
SAME_MM = 0.01


@pytest.fixture(scope="session")
def out(tmp_path_factory):
    """A folder with all output files for a synthetic film."""
    folder = tmp_path_factory.mktemp("results")
    subprocess.run([BINARIES / "onemark-export", "phantom", "--untrained", "--out", folder / "b.onemark"], check=True)
    y, x = np.mgrid[:300, :250]
    Image.fromarray(((x * 3 + y * y // 16) % 256).astype(np.uint8)).save(folder / "film.png")
    command = [BINARIES / "onemark", "detect", "film.png", "missing.png", "--bundle", "b.onemark", "--spacing", "0.1,0.2"]
    outputs = ["--json", "o.json", "--csv", "o.csv", "--overlay", "o", "--mrk-json", "o", "--report", "o"]
    # One film does not exist: the results say so, and the program fails.
    assert subprocess.run(command + outputs, cwd=folder, check=False).returncode != 0
    return folder


def test_json_is_as_published(out):
    document = json.loads((out / "o.json").read_text())
    schema = json.loads((ROOT / "docs/detections.schema.json").read_text())
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(document, schema)
    assert len(document["films"][0]["landmarks"]) == 19 and "missing.png" in document["films"][1]["error"]
    for harm in [lambda d: d.update(schema="other/1"), lambda d: d["films"][0]["landmarks"][0].pop("position")]:
        harmed = json.loads(json.dumps(document))
        harm(harmed)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(harmed, schema)


def test_markups_are_as_slicer_wants_them_and_where_json_says(out):
    markups = json.loads((out / "o/film.mrk.json").read_text())
    jsonschema.validate(markups, json.loads((Path(__file__).parent / "slicer-markups-v1.0.3.json").read_text()))
    landmarks = json.loads((out / "o.json").read_text())["films"][0]["landmarks"]
    points = markups["markups"][0]["controlPoints"]
    assert [point["label"] for point in points] == [landmark["title"] for landmark in landmarks]
    for point, landmark in zip(points, landmarks):
        expected = [mm * (landmark["position"][axis] - 0.5) for mm, axis in zip(SPACING, "xy")] + [0]
        assert np.allclose(point["position"], expected, rtol=0, atol=SAME_MM)


def test_the_table_says_the_same(out):
    with open(out / "o.csv", newline="") as file:
        *rows, failed = csv.DictReader(file)
    landmarks = json.loads((out / "o.json").read_text())["films"][0]["landmarks"]
    assert len(rows) == len(landmarks) == 19
    for row, landmark in zip(rows, landmarks):
        assert row["name"] == landmark["name"]
        assert np.allclose([float(row["x_mm"]), float(row["y_mm"])], list(landmark["mm"].values()), rtol=0, atol=SAME_MM)
    assert failed["file"] == "missing.png" and failed["error"]
