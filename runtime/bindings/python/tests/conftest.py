"""Shared by the tests: the binaries, from ONEMARK_BIN_DIR (default: target/debug), and an untrained bundle."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "head19.onemark"
    subprocess.run([BINARIES / "onemark-export", "phantom", "--untrained", "--out", path], check=True)
    return path
