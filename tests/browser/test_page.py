"""The page that needs no server finds the same as `onemark detect`, and a person can correct it there."""

import json
import subprocess

import pytest
from PIL import Image
from conftest import BINARIES

# Both sides use tract; its kernels for browsers round differently.
TOLERANCE_PX = 0.05

# As in a page with an <input type="file" multiple> of its own.
DETECT = """
async (input, spacing) => {
  const [bundle, film] = await Promise.all([...input.files].map(async file => new Uint8Array(await file.arrayBuffer())));
  const engine = await import("./onemark.js");
  await engine.default();
  const detector = new engine.Detector("bundle.zip", bundle);
  return detector.detect("film", film, spacing ?? "");
}
"""


@pytest.fixture(scope="session")
def expected(bundle, film):
    words = ["detect", film, "--bundle", bundle, "--backend", "tract", "--spacing", "0.1", "--json", "-"]
    done = subprocess.run([BINARIES / "onemark", *words], check=True, capture_output=True)
    return json.loads(done.stdout)["films"][0]


def open_both(page, bundle, film):
    page.locator("#open-bundle").set_input_files(bundle)
    page.locator("#open-films:enabled").wait_for()
    page.locator("#open-spacing").fill("0.1")
    page.locator("#open-films").set_input_files(film)
    page.locator(".mark").first.wait_for()


def saved(page, title):
    with page.expect_download() as download:
        page.locator("#save").get_by_role("button", name=title, exact=True).click()
    return download.value


def distance(found, expected):
    return max(abs(found["position"][axis] - expected["position"][axis]) for axis in "xy")


def test_what_it_finds_is_what_detect_finds(page, bundle, film, expected):
    page.locator("#open-films").evaluate("input => input.outerHTML = '<input id=own type=file multiple>'")
    own = page.locator("#own")
    own.set_input_files([bundle, film])
    found = json.loads(own.evaluate(DETECT, "0.1"))["films"][0]
    worst = max(map(distance, found["landmarks"], expected["landmarks"]))
    print(f"\n{len(found['landmarks'])} landmarks, at most {worst:.4f} px apart; {found['seconds']:.1f} s")
    assert [one["name"] for one in found["landmarks"]] == [one["name"] for one in expected["landmarks"]]
    assert worst < TOLERANCE_PX
    assert [one["value"] is None for one in found["measurements"]] == [one["value"] is None for one in expected["measurements"]]


def test_it_says_where_mm_come_from(page, bundle, film):
    open_both(page, bundle, film)
    page.locator("#spacing", has_text="0.1 x 0.1 mm per px by the page").wait_for()


def test_a_point_is_dragged_and_saved(page, bundle, film, expected, request):
    open_both(page, bundle, film)
    assert page.locator(".mark").count() == len(expected["landmarks"])
    document = json.load(saved(page, "json").path().open())
    assert distance(document["films"][0]["landmarks"][0], expected["landmarks"][0]) < TOLERANCE_PX

    mark = page.locator('.mark[data-number="1"] circle')
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=4)
    page.mouse.up()
    page.locator("#landmarks tr.edited-by-hand").wait_for(state="attached")
    if picture := request.config.getoption("picture"):
        page.screenshot(path=picture)

    download = saved(page, "json")
    assert download.suggested_filename == f"{film.stem}.json"
    moved = json.load(download.path().open())["films"][0]["landmarks"][0]
    assert moved["status"] == "edited-by-hand"
    assert moved["position"]["x"] > expected["landmarks"][0]["position"]["x"]
    assert "edited by hand" in saved(page, "mrk.json").path().read_text()


def test_what_is_no_bundle_or_film_is_said(page, bundle, film, tmp_path):
    other = tmp_path / "other.zip"
    other.write_bytes(b"no zip")
    page.locator("#open-bundle").set_input_files(other)
    page.locator("#status", has_text="other.zip is not a bundle").wait_for()
    assert page.locator("#open-films").is_disabled()
    other = tmp_path / "cut.png"
    other.write_bytes(film.read_bytes()[:100])
    page.locator("#open-bundle").set_input_files(bundle)
    page.locator("#open-films:enabled").wait_for()
    page.locator("#open-films").set_input_files(other)
    page.locator("#status", has_text="cut.png is damaged").wait_for()
    page.locator("#open-films").set_input_files(film)
    page.locator(".mark").first.wait_for()


def dicom(film):
    """The film as DICOM that states 0.6 mm by PixelSpacing; explicit VR, little endian."""
    grey = Image.open(film)
    short = lambda number: number.to_bytes(2, "little")

    def attribute(tag, kind, value):
        value += (b"\0" if kind == "UI" else b" ") * (len(value) % 2)
        length = b"\0\0" + len(value).to_bytes(4, "little") if kind == "OW" else short(len(value))
        return short(tag >> 16) + short(tag & 0xFFFF) + kind.encode() + length + value

    explicit, radiograph = b"1.2.840.10008.1.2.1", b"1.2.840.10008.5.1.4.1.1.1"
    meta = attribute(0x00020010, "UI", explicit)
    whole = b"".join([
        attribute(0x00080016, "UI", radiograph),
        attribute(0x00080060, "CS", b"CR"),
        attribute(0x00280002, "US", short(1)),
        attribute(0x00280004, "CS", b"MONOCHROME2"),
        attribute(0x00280010, "US", short(grey.height)),
        attribute(0x00280011, "US", short(grey.width)),
        attribute(0x00280030, "DS", b"0.6\\0.6"),
        *(attribute(0x00280100 + offset, "US", short(value)) for offset, value in enumerate([8, 8, 7, 0])),
        attribute(0x7FE00010, "OW", grey.tobytes()),
    ])
    return bytes(128) + b"DICM" + attribute(0x00020000, "UL", len(meta).to_bytes(4, "little")) + meta + whole


@pytest.mark.parametrize("person", [None, "0.2", "600"])
@pytest.mark.parametrize("states", [False, True])
def test_mm_are_those_of_detect(page, bundle, film, tmp_path, states, person):
    stated = tmp_path / ("film.dcm" if states else film.name)
    stated.write_bytes(dicom(film) if states else film.read_bytes())
    words = ["detect", stated, "--bundle", bundle, "--backend", "tract", "--json", "-", *(["--spacing", person] if person else [])]
    done = subprocess.run([BINARIES / "onemark", *words], check=True, capture_output=True, text=True)
    expected = json.loads(done.stdout.replace("--spacing", "the page"))["films"][0]
    page.locator("#open-films").evaluate("input => input.outerHTML = '<input id=own type=file multiple>'")
    own = page.locator("#own")
    own.set_input_files([bundle, stated])
    found = json.loads(own.evaluate(DETECT, person))["films"][0]
    assert (found["spacing"], found["warnings"]) == (expected["spacing"], expected["warnings"])
