"""Ray processes an archive on a local cluster; interrupted, it continues where it stopped.

Skipped where Ray is not installed, which `cargo xtask test` tries.
"""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import onemark
import pytest

pytest.importorskip("ray", reason="ray[data] is not installed")
import pyarrow.parquet as pq
import pydicom
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from test_onemark import SPACING, film

FILMS = 24
GROUP = 2
PATIENCE_S = 900


def dicom(pixels, syntax):
    """A film as a scanner would store it."""
    image = pydicom.Dataset()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.SOPInstanceUID, image.StudyInstanceUID, image.SeriesInstanceUID = (generate_uid() for _ in range(3))
    image.Modality = "CR"
    image.PixelSpacing = list(reversed(SPACING))
    image.set_pixel_data(pixels, "MONOCHROME2", bits_stored=12)
    if syntax != ExplicitVRLittleEndian:
        image.compress(syntax)
    return image


@pytest.fixture
def folder(tmp_path):
    """Films in folders, one that shows nothing, and one file that is not a film."""
    folder = tmp_path / "films"
    for number in range(FILMS):
        place = folder / f"patient{number // 5}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.roll(film(np.uint16, 12), number, axis=1)
        dicom(pixels, RLELossless if number % 2 else ExplicitVRLittleEndian).save_as(place / f"{number:03}", enforce_file_format=True)
    dicom(np.zeros((100, 80), np.uint16), ExplicitVRLittleEndian).save_as(folder / "black", enforce_file_format=True)
    (folder / "note.txt").write_text("no film")
    (folder / ".hidden").write_text("not looked at")
    return folder


def command(folder, bundle, out):
    words = ["--bundle", bundle, "--out", out, "--group", str(GROUP), "--backend", "tract"]
    return [sys.executable, "-m", "onemark.archive", folder, *words]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=PATIENCE_S)


def test_killed_it_goes_on(folder, bundle, tmp_path):
    out = tmp_path / "landmarks.parquet"
    parts = tmp_path / "landmarks.parquet.parts"
    first = subprocess.Popen(command(folder, bundle, out), stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list(parts.glob("*.parquet")):
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not out.exists()
    assert 0 < len(list(parts.glob("*.parquet"))) < FILMS / GROUP

    plan = parts / "plan.json"
    kept = plan.read_text()
    plan.write_text(kept.replace('"tract"', '"onnxruntime"'))
    refused = run(folder, bundle, out)
    assert refused.returncode == 1 and "was begun with another backend" in refused.stderr
    plan.write_text(kept)

    second = run(folder, bundle, out)
    # One file is not a film.
    assert second.returncode == 1, second.stderr
    assert f"{FILMS + 2} files, " in second.stdout and " 0 of them done before" not in second.stdout
    assert f"{FILMS + 2} files, 1 failed" in second.stdout
    assert not parts.exists()

    table = pq.read_table(out)
    by_file = {}
    for row in table.to_pylist():
        by_file.setdefault(row["file"], []).append(row)
    assert list(by_file) == sorted(by_file) and len(by_file) == FILMS + 2
    [note] = by_file.pop("note.txt")
    assert "note.txt is not a film Onemark can read" in note["error"] and note["x_px"] is None
    # It has no points, not even guesses.
    black = by_file.pop("black")
    assert {row["status"] for row in black} == {"not-found"} and "grey" in black[0]["refusal"]
    assert {row[key] for row in black for key in ["x_px", "y_px", "x_mm", "y_mm"]} == {None}
    detector = onemark.Detector(bundle, backend="tract")
    for file, landmarks in by_file.items():
        found = detector.detect_file(folder / file)
        assert [row["name"] for row in landmarks] == found.names
        assert [[row["x_px"], row["y_px"]] for row in landmarks] == found.positions.tolist()
        assert [[row["x_mm"], row["y_mm"]] for row in landmarks] == found.positions_mm.tolist()
        assert all(row["error"] is None and row["refusal"] is None and row["bundle_sha256"] == detector.bundle[1] for row in landmarks)

    again = run(folder, bundle, out)
    assert again.returncode == 1 and "already exists" in again.stderr
