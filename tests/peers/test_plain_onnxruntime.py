"""A bundle runs in plain ONNX Runtime, by docs/BUNDLE.md alone.

Takes the binaries from ONEMARK_BIN_DIR (default: target/debug). The bundle is of an untrained network whose template is a
synthetic film with known landmarks, so every head must find its own landmark on that film.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))
LANDMARKS = 19
# Coarse levels pull the maximum towards the centres of their cells, which are 32 px wide on level 5.
PLACE_TOLERANCE_PX = 12
# f32 against numpy's f64, of scores up to 1.
SCORE_TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "head19.onemark"
    command = [BINARIES / "onemark-export", "phantom", "--untrained", "--out", path]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="session")
def manifest(bundle):
    return yaml.safe_load((bundle / "manifest.yaml").read_text())


@pytest.fixture(scope="session")
def film(manifest):
    """The exporter's synthetic film (`check::synthetic_film`), [rows, columns], 8 bits."""
    size = manifest["input"]["size"]
    y, x = np.mgrid[:size, :size] / size
    waves = np.sin(7 * x + 3 * y) + np.cos(23 * x * y) + np.sin(41 * (y - x * x)) + np.sin(90 * x - 60 * y)
    ring = np.exp(-((np.hypot(x - 0.6, y - 0.4) - 0.25) ** 2) * 400)
    return np.round(255 * np.clip(0.5 + 0.1 * waves + 0.3 * ring, 0, 1)).astype(np.uint8)


def place(landmark, size):
    """Where the template's landmark lies (`untrained::place`): (row, column)."""
    along = size * (2 * landmark + 1) // (2 * LANDMARKS + 4)
    return along, size - 1 - along


def run(bundle, film, landmark):
    manifest = yaml.safe_load((bundle / "manifest.yaml").read_text())
    trunk = ort.InferenceSession(bundle / manifest["trunk"]["file"])
    head = ort.InferenceSession(bundle / manifest["heads"][landmark - 1]["graph"]["file"])
    outputs = trunk.run(None, {"film": film[None, None].astype(np.float32) / 255})
    shared = {output.name: value for output, value in zip(trunk.get_outputs(), outputs)}
    values = head.run(None, {input.name: shared[input.name] for input in head.get_inputs()})
    return {output.name: value for output, value in zip(head.get_outputs(), values)}


def test_the_lines_in_the_manual_find_the_first_landmark(bundle, film, tmp_path, monkeypatch, capsys):
    Image.fromarray(film).save(tmp_path / "film.png")
    (tmp_path / "head19.onemark").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    lines = re.search(r"```python\n(.*?)```", (ROOT / "docs/BUNDLE.md").read_text(), re.DOTALL).group(1)
    exec(lines, {})
    name, x, y, _ = capsys.readouterr().out.split()
    row, column = place(1, film.shape[0])
    assert name == "sella:"
    assert np.hypot(float(x) - column - 0.5, float(y) - row - 0.5) <= PLACE_TOLERANCE_PX


def upsampling(size, factor):
    """One axis of a bilinear up-sampling whose cells are areas (half_pixel): [size * factor, size]."""
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def test_every_head_finds_its_landmark_by_the_formula_of_the_manual(bundle, manifest, film):
    weights = (bundle / "weights.bin").read_bytes()
    for landmark in range(1, LANDMARKS + 1):
        maps = run(bundle, film, landmark)
        score = maps["score"][0, 0]
        found = np.unravel_index(score.argmax(), score.shape)
        assert np.hypot(*np.subtract(found, place(landmark, film.shape[0]))) <= PLACE_TOLERANCE_PX, landmark
        product = 1
        for level in range(1, 6):
            span = manifest["template_vectors"][f"template.{landmark:02}.level{level}"]
            vector = np.frombuffer(weights, "<f4", span["length"] // 4, span["offset"]).astype(float)
            cells = maps[f"embedding{level}"][0].astype(float)
            norms = np.linalg.norm(cells, axis=0) * np.linalg.norm(vector)
            cosine = np.clip(np.tensordot(vector, cells, 1) / (norms + 1e-3), 0, 1)
            up = upsampling(cosine.shape[0], 2**level)
            product = product * (up @ cosine @ up.T)
        assert np.abs(product - score).max() <= SCORE_TOLERANCE, landmark


def test_graphs_are_standard_and_as_the_manifest_says(bundle, manifest):
    shape = lambda value: [side.dim_value for side in value.type.tensor_type.shape.dim]
    tensors = lambda values: [{"name": value.name, "shape": shape(value)} for value in values]
    for entry in [manifest["trunk"], *(head["graph"] for head in manifest["heads"])]:
        onnx.checker.check_model(bundle / entry["file"], full_check=True)
        model = onnx.load(bundle / entry["file"], load_external_data=False)
        assert model.ir_version == 8
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
        assert tensors(model.graph.input) == entry["inputs"]
        assert tensors(model.graph.output) == entry["outputs"]


def test_digests_are_those_of_the_files(bundle, manifest):
    assert {path.name for path in bundle.iterdir()} == {"manifest.yaml", *manifest["files"]}
    for name, entry in manifest["files"].items():
        content = (bundle / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])


def test_template_vectors_can_be_replaced(bundle, manifest, film, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    weights = bytearray((bundle / "weights.bin").read_bytes())
    row, column = film.shape[0] // 2, film.shape[1] // 3
    before = run(bundle, film, 5)
    for level in range(1, 6):
        span = manifest["template_vectors"][f"template.05.level{level}"]
        vector = before[f"embedding{level}"][0, :, row >> level, column >> level]
        weights[span["offset"] : span["offset"] + span["length"]] = vector.astype("<f4").tobytes()
    (copy / "weights.bin").write_bytes(weights)
    score = run(copy, film, 5)["score"]
    found = np.unravel_index(score.argmax(), score.shape[2:])
    assert np.hypot(*np.subtract(found, (row, column))) <= PLACE_TOLERANCE_PX
    # The vectors of other landmarks did not change.
    assert np.array_equal(run(copy, film, 6)["score"], run(bundle, film, 6)["score"])
