"""An archive is done by Ray on a local cluster; killed in the middle, it goes on where it was.

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
from PIL import Image

pytest.importorskip("ray", reason="ray[data] is not installed")
import pyarrow.parquet as pq

from test_onemark import SPACING, film

FILMS = 24
GROUP = 2
PATIENCE_S = 300


@pytest.fixture
def folder(tmp_path):
    """Films in folders, and one file that is none."""
    folder = tmp_path / "films"
    for number in range(FILMS):
        place = folder / f"patient{number // 5}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(film(np.uint8, 8), number, axis=1)).save(place / f"{number:03}.png")
    (folder / "note.txt").write_text("no film")
    (folder / ".hidden").write_text("not looked at")
    return folder


def command(folder, bundle, out):
    words = ["--bundle", bundle, "--out", out, "--group", str(GROUP), "--backend", "tract", "--spacing", "0.1,0.2"]
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
    # One file is no film.
    assert second.returncode == 1, second.stderr
    assert f"{FILMS + 1} files, " in second.stdout and " 0 of them done before" not in second.stdout
    assert f"{FILMS + 1} files, 1 failed" in second.stdout
    assert not parts.exists()

    table = pq.read_table(out)
    by_file = {}
    for row in table.to_pylist():
        by_file.setdefault(row["file"], []).append(row)
    assert list(by_file) == sorted(by_file) and len(by_file) == FILMS + 1
    [note] = by_file.pop("note.txt")
    assert "note.txt is not a film Onemark can read" in note["error"] and note["x_px"] is None
    detector = onemark.Detector(bundle, backend="tract")
    for file, landmarks in by_file.items():
        found = detector.detect_file(folder / file, spacing=SPACING)
        assert [row["name"] for row in landmarks] == found.names
        assert [[row["x_px"], row["y_px"]] for row in landmarks] == found.positions.tolist()
        assert [[row["x_mm"], row["y_mm"]] for row in landmarks] == found.positions_mm.tolist()
        assert all(row["error"] is None and row["bundle_sha256"] == detector.bundle[1] for row in landmarks)

    again = run(folder, bundle, out)
    assert again.returncode == 1 and "is there already" in again.stderr
