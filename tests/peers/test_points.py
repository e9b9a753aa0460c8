"""Points that `onemark points convert` writes are read by the programs that they are for, and come back.

COCO by pycocotools, 3D Slicer by its own schema (see test_results.py). labelme and CVAT's reader (datumaro) need packages that exclude
those of the other peers; where they are installed, they read too. What they wrote is in models/evaluation/tests/written_by.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))
SAME_PX = 0.01
SPACING = (0.1, 0.125)
POINTS = {"sella": (83.251, 100.5), "nasion": (140.3751, 87.0), "menton": (131.01, 210.1375)}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A film, its points as a table, and a function that converts files there."""
    folder = tmp_path_factory.mktemp("points")
    Image.fromarray(np.zeros((240, 193), np.uint8)).save(folder / "film.png")
    rows = [f"film.png,{name},{x},{y}\n" for name, (x, y) in POINTS.items()]
    (folder / "table.csv").write_text("image,landmark,x,y\n" + "".join(rows))
    return folder


def convert(folder, source, form, out):
    command = [BINARIES / "onemark", "points", "convert", source, "--to", form, "--out", out, "--film", "film.png"]
    subprocess.run([*command, "--spacing", ",".join(map(str, SPACING))], cwd=folder, check=True)
    return folder / out


def assert_same(found):
    assert set(found) == set(POINTS)
    for name, point in POINTS.items():
        assert np.allclose(found[name], point, rtol=0, atol=SAME_PX), name


def test_coco(folder):
    coco = COCO(str(convert(folder, "table.csv", "coco", "coco.json")))
    [image] = coco.loadImgs(coco.getImgIds())
    assert (image["file_name"], image["width"], image["height"]) == ("film.png", 193, 240)
    [annotation] = coco.loadAnns(coco.getAnnIds())
    names = coco.loadCats(annotation["category_id"])[0]["keypoints"]
    triples = np.reshape(annotation["keypoints"], (-1, 3))
    assert len(names) == len(triples) == 19 and annotation["num_keypoints"] == len(POINTS)
    assert_same({name: triple[:2] for name, triple in zip(names, triples) if triple[2] > 0})
    x, y, width, height = annotation["bbox"]
    assert all(x <= px <= x + width and y <= py <= y + height for px, py in POINTS.values())


def test_labelme(folder):
    path = convert(folder, "table.csv", "labelme", "film.json")
    document = json.loads(path.read_text())
    assert (document["imageWidth"], document["imageHeight"], document["imageData"]) == (193, 240, None)
    assert all(len(shape["points"]) == 1 and shape["shape_type"] == "point" for shape in document["shapes"])
    assert_same({shape["label"]: shape["points"][0] for shape in document["shapes"]})
    if importlib.util.find_spec("labelme"):
        data = importlib.import_module("labelme._label_file").read_label_file(str(path))
        assert_same({shape["label"]: shape["points"][0] for shape in data.shapes})


def test_cvat(folder):
    (folder / "cvat/images").mkdir(parents=True)
    shutil.copy(folder / "film.png", folder / "cvat/images/film.png")
    path = convert(folder, "table.csv", "cvat", "cvat/default.xml")
    root = ET.parse(path).getroot()
    assert (root.tag, root.findtext("version")) == ("annotations", "1.1")
    assert len(root.findall("meta/task/labels/label/name")) == 19
    [image] = root.findall("image")
    assert (image.get("name"), image.get("width"), image.get("height")) == ("film.png", "193", "240")
    assert_same({shape.get("label"): [float(part) for part in shape.get("points").split(",")] for shape in image.findall("points")})
    if importlib.util.find_spec("datumaro"):
        data = importlib.import_module("datumaro").Dataset.import_from(str(path.parent), "cvat")
        labels = data.categories()[next(iter(data.categories()))]
        [item] = data
        assert_same({labels[point.label].name: point.points for point in item.annotations})


def test_slicer(folder):
    markups = json.loads(convert(folder, "table.csv", "slicer", "film.mrk.json").read_text())
    jsonschema.validate(markups, json.loads((Path(__file__).parent / "slicer-markups-v1.0.3.json").read_text()))
    controls = markups["markups"][0]["controlPoints"]
    placed = {point["label"]: point["position"] for point in controls if point["positionStatus"] == "defined"}
    assert all(position[2] == 0 for position in placed.values())
    assert_same({name: np.array(position[:2]) / SPACING + 0.5 for name, position in placed.items()})


@pytest.mark.parametrize("form", ["coco", "labelme", "cvat", "slicer", "fcsv", "json"])
def test_back(folder, form):
    written = convert(folder, "table.csv", form, f"there.{form}")
    lines = convert(folder, written.name, "csv", f"{form}.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    assert_same({name: (float(x), float(y)) for _, name, x, y in cells})
