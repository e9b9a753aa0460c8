"""Shared by the tests: a browser; a bundle and a film, or those of --bundle and --film; the page that needs no server."""

import functools
import os
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
BINARIES = Path(os.environ.get("ONEMARK_BIN_DIR", ROOT / "target/debug"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_addoption(parser):
    parser.addoption("--bundle", type=Path, help="a bundle's zip instead of an untrained one")
    parser.addoption("--film", type=Path, help="a film instead of a drawn one")
    parser.addoption("--page", type=Path, help="the folder of the page that needs no server, which `cargo xtask wasm` builds")
    parser.addoption("--picture", type=Path, help="where to save a picture of the page")


@pytest.fixture(scope="session")
def bundle(request, tmp_path_factory):
    if given := request.config.getoption("bundle"):
        return given.resolve()
    path = tmp_path_factory.mktemp("bundle") / "head19.zip"
    subprocess.run([BINARIES / "onemark-export", "phantom", "--untrained", "--archive", "--out", path], check=True)
    return path


@pytest.fixture(scope="session")
def film(request, tmp_path_factory):
    if given := request.config.getoption("film"):
        return given.resolve()
    y, x = np.mgrid[0:240, 0:200]
    path = tmp_path_factory.mktemp("film") / "made.png"
    Image.fromarray((127 + 60 * np.sin(x / 11) + 60 * np.cos(y / 17 + x / 40)).astype(np.uint8)).save(path)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(request):
    folder = request.config.getoption("page")
    if folder is None:
        pytest.skip("no --page")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """The page, just opened. It requests nothing from elsewhere, and no error occurs in it."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(120_000)
    asked, broken = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(address)
    yield page
    assert all(url.startswith((address, f"blob:{address}", "data:")) for url in asked), asked
    assert not broken
    page.close()
