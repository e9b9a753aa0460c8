"""The wheel finds the same as the `onemark` binary, to the last bit, for every layout of the array.

Runs where the wheel is installed; `cargo xtask test` builds it and runs these tests in a new environment.
"""

import json
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onemark
import pytest
from PIL import Image

from conftest import BINARIES, ROOT

SPACING = (0.1, 0.2)


@pytest.fixture(scope="session")
def detector(bundle):
    return onemark.Detector(bundle, backend="tract")


def film(dtype, bits):
    y, x = np.mgrid[:170, :131]
    grey = 0.5 + 0.25 * np.sin(x / 9 + y / 17) + 0.25 * np.cos(x * y / 400)
    return (grey * (2**bits - 1)).astype(dtype)


def said(bundle, path, backend):
    """The binary's output for a file."""
    command = [BINARIES / "onemark", "detect", path, "--bundle", bundle, "--backend", backend]
    command += ["--spacing", "{},{}".format(*SPACING), "--json", "-"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["films"][0]


@pytest.mark.parametrize("backend", ["tract", "onnxruntime"])
@pytest.mark.parametrize("dtype, bits", [(np.uint8, 8), (np.uint16, 16)])
def test_it_finds_what_the_binary_finds(bundle, tmp_path, backend, dtype, bits):
    try:
        detector = onemark.Detector(bundle, backend=backend)
    except onemark.OnemarkError as error:
        pytest.skip(str(error))
    image, path = film(dtype, bits), tmp_path / "film.png"
    Image.fromarray(image).save(path)
    landmarks = said(bundle, path, backend)["landmarks"]
    for found in [detector.detect(image, spacing=SPACING), detector.detect_file(path, spacing=SPACING)]:
        assert len(found) == len(landmarks) == 19
        assert found.positions.dtype == np.float64 and found.scores.dtype == np.float32
        assert found.numbers == [landmark["number"] for landmark in landmarks]
        assert found.names == [landmark["name"] for landmark in landmarks]
        assert found.titles == [landmark["title"] for landmark in landmarks]
        assert found.status == [landmark["status"] for landmark in landmarks]
        for numbers, key in [(found.positions, "position"), (found.positions_mm, "mm")]:
            assert numbers.tolist() == [[landmark[key]["x"], landmark[key]["y"]] for landmark in landmarks]
        assert np.array_equal(found.scores, np.float32([landmark["score"] for landmark in landmarks]))
        assert found.confidence is None and found.radius_mm is None
        assert found.to_dict()["landmarks"] == landmarks
        assert found.to_dict()["spacing"]["mm_per_px"] == list(SPACING)


# What a file and a program state, as docs/SPACING.md has it for all commands: mm used, by whom, and what is said.
@pytest.mark.parametrize(
    "stated, program, used, says",
    [
        (None, None, None, "no usable spacing is stated"),
        (None, 0.2, "0.2 x 0.2 mm per px by the calling program", None),
        (0.6, None, "0.6 x 0.6 mm per px by PixelSpacing", None),
        (0.6, 0.6000001, "0.6000001 x 0.6000001 mm per px by the calling program", None),
        (0.6, 0.2, "0.2 x 0.2 mm per px by the calling program", "but 0.6 x 0.6 mm per px by PixelSpacing is stated too"),
        (1, None, "1 x 1 mm per px by PixelSpacing", "what many programs write where they know no spacing"),
        (600, None, "600 x 600 mm per px by PixelSpacing", "radiographs have sides of 20 to 2000 mm"),
    ],
)
def test_one_rule_for_spacing(detector, tmp_path, stated, program, used, says):
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(film(np.uint8, 8), stated))
    found = detector.detect_file(path, spacing=program and (program, program))
    assert found.spacing == used and (found.positions_mm is None) == (used is None)
    assert [says in warning for warning in found.warnings] == ([True] if says else [])
    assert found.to_dict()["warnings"] == found.warnings


def dicom(image, spacing):
    """A DICOM data set in implicit VR, without preamble."""
    rows, columns = image.shape
    elements = [
        (0x0008, 0x0005, b"ISO_IR 192"),
        (0x0028, 0x0002, struct.pack("<H", 1)),
        (0x0028, 0x0004, b"MONOCHROME2 "),
        (0x0028, 0x0010, struct.pack("<H", rows)),
        (0x0028, 0x0011, struct.pack("<H", columns)),
        (0x0028, 0x0030, f"{spacing}\\{spacing} ".encode() if spacing else b""),
        (0x0028, 0x0100, struct.pack("<H", 8)),
        (0x7FE0, 0x0010, image.tobytes()),
    ]
    padded = [(group, element, value + b" " * (len(value) % 2)) for group, element, value in elements]
    return b"".join(struct.pack("<HHI", group, element, len(value)) + value for group, element, value in padded)


def test_any_strides_will_do(detector):
    image = film(np.uint8, 8)
    expected = detector.detect(image)
    wider = np.zeros((340, 400), np.uint8)
    wider[::2, 7:400:3] = image
    for same in [np.asfortranarray(image), np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1], wider[::2, 7:400:3]]:
        assert not same.flags.c_contiguous
        assert np.array_equal(detector.detect(same).positions, expected.positions)
    assert expected.positions_mm is None


def test_bits_and_inversion(detector):
    image = film(np.uint16, 12)
    expected = detector.detect(image, bits=12)
    assert np.array_equal(detector.detect(4095 - image, bits=12, inverted=True).scores, expected.scores)
    assert not np.array_equal(detector.detect(image, bits=12, window=(1000, 900)).scores, expected.scores)


def test_a_film_that_shows_nothing_is_refused(detector):
    refused = detector.detect(np.zeros((100, 80), np.uint8))
    assert "grey" in refused.refusal and set(refused.status) == {"not-found"}
    assert refused.to_dict()["refusal"] == refused.refusal
    assert detector.detect(film(np.uint8, 8)).refusal is None


def test_several_threads_get_the_same(detector):
    image = film(np.uint8, 8)
    expected = detector.detect(image).to_dict()
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(detector.detect, [image] * 8):
            assert found.to_dict() == expected


def test_what_is_wrong_is_said(bundle, detector, tmp_path):
    image = film(np.uint8, 8)
    for wrong, says in [
        (lambda: onemark.Detector(bundle, backend="tracd"), "did you mean `tract`"),
        (lambda: onemark.Detector(bundle, decoding="argmin"), "did you mean `argmax`"),
        (lambda: detector.detect(image, bits=12), "12 bits in uint8"),
        (lambda: detector.detect(film(np.uint16, 16), bits=12), "too large for pixels of 12 bits"),
        (lambda: detector.detect(film(np.uint16, 16), bits=8), "8 bits in uint16"),
        (lambda: detector.detect(image, spacing=(0.1, -0.1)), "a spacing of 0.1 x -0.1 mm"),
        (lambda: detector.detect(image, window=(100, 0)), "a window of 0 values"),
        (lambda: detector.detect(image[:0]), "empty"),
        (lambda: onemark.Detector(bundle, threads=0), "zero"),
    ]:
        with pytest.raises(ValueError, match=says):
            wrong()
    for wrong in [image / 255, image[None], image.tolist(), film(">u2", 16)]:
        with pytest.raises(TypeError, match="a numpy array of uint8 or uint16 with axes"):
            detector.detect(wrong)
    with pytest.raises(onemark.OnemarkError, match="nowhere.onemark"):
        onemark.Detector(tmp_path / "nowhere.onemark")
    with pytest.raises(onemark.OnemarkError, match="nowhere.png"):
        detector.detect_file(tmp_path / "nowhere.png")
    assert issubclass(onemark.OnemarkError, RuntimeError)


def test_people_see_what_it_is(detector):
    assert "on tract" in repr(detector) and "tract" in detector.backend
    assert repr(detector.detect(film(np.uint8, 8))) == "<onemark.Detections: 19 landmarks on 131x170 px>"
    assert onemark.__version__


def test_the_lines_in_the_manual_run(bundle, tmp_path, monkeypatch, capsys):
    (tmp_path / "head19.onemark").symlink_to(bundle)
    monkeypatch.chdir(tmp_path)
    lines = re.search(r"```python\n(.*?)```", (ROOT / "docs/EMBEDDING.md").read_text(), re.DOTALL).group(1)
    exec(lines, {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 19 and said[0].startswith("sella at ")


def test_the_script_is_the_whole_command_line(bundle, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(film(np.uint8, 8)).save(path)
    program, script = BINARIES / "onemark", Path(sys.executable).with_name("onemark")
    for line in [["--help"], ["--version"], ["verify", bundle], ["detect", path, "--bundle", bundle, "--backend", "tract"]]:
        ours, theirs = [subprocess.run([start, *line], check=True, capture_output=True) for start in (script, program)]
        assert ours.stdout == theirs.stdout
