"""The page that `onemark annotate` serves: a person marks five landmarks on a small film by mouse and by keyboard."""

import json
import signal
import subprocess

import numpy as np
import pytest
from conftest import BINARIES
from PIL import Image
from playwright.sync_api import expect

# What the page shows may follow the program's answer: it is waited for, ms.
expect.set_options(timeout=30_000)

NAMES = ["top", "left-tip", "right-tip", "hollow", "spur"]
# Where the test places them, px.
PLACES = {1: (100, 40), 2: (40, 120), 3: (160, 120), 4: (100, 160)}


class Annotate:
    """`onemark annotate` on a dataset with two films."""

    def __init__(self, folder, *words):
        self.kept = folder / "landmarks.json"
        words = ["annotate", "images", "--landmarks", "five.yaml", *words]
        self.program = subprocess.Popen([BINARIES / "onemark", *words], stdout=subprocess.PIPE, text=True, cwd=folder)
        self.link = self.program.stdout.readline().strip()

    def kill(self):
        self.program.send_signal(signal.SIGKILL)
        self.program.wait()

    def marks(self, film="1.png"):
        """What the file says of each landmark of a film: a place in px, or a status."""
        films = {film["file"]: film["landmarks"] for film in json.loads(self.kept.read_text())["films"]}
        said = {mark["number"]: mark for mark in films.get(film, [])}
        return {number: tuple(mark["position"].values()) if "position" in mark else mark["status"] for number, mark in said.items()}


@pytest.fixture
def folder(tmp_path):
    rows = [f"  - {{ number: {number}, name: {name}, title: The {name}, definition: Where the {name} is. }}" for number, name in enumerate(NAMES, 1)]
    (tmp_path / "five.yaml").write_text("\n".join(["id: five", "name: Five", "source: a test", "landmarks:", *rows]))
    y, x = np.mgrid[0:240, 0:200]
    (tmp_path / "images").mkdir()
    for film in (1, 2):
        pixels = 127 + 60 * np.sin(x / 11 + film) + 60 * np.cos(y / 17 + x / 40)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"images/{film}.png")
    return tmp_path


@pytest.fixture(params=[(1400, 900), (900, 700)], ids=lambda size: f"{size[0]}x{size[1]}")
def window(browser, request):
    """Opens windows. No error occurs in any of them."""
    opened, broken = [], []

    def open_window(link):
        page = browser.new_page(viewport=dict(zip(("width", "height"), request.param)))
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(link)
        page.locator("#next", has_text=" ").wait_for()
        opened.append(page)
        return page

    yield open_window
    for page in opened:
        page.close()
    assert not broken


def on_screen(page, x, y):
    """Where a place on the film is on the screen."""
    film = page.locator("#film").bounding_box()
    return film["x"] + x * film["width"] / 200, film["y"] + y * film["height"] / 240


def saved(program, expected, film="1.png"):
    """Waits until the file says this of a film's landmarks."""
    import time

    end = time.monotonic() + 10
    while True:
        marks = program.marks(film) if program.kept.exists() else {}
        same = marks.keys() == expected.keys() and all(marks[number] == pytest.approx(place, abs=0.6) if isinstance(place, tuple) else marks[number] == place for number, place in expected.items())
        if same or time.monotonic() > end:
            assert same, (marks, expected)
            return
        time.sleep(0.05)


def test_a_film_is_marked_from_nothing(folder, window):
    program = Annotate(folder)
    assert not program.kept.exists()
    try:
        page = window(program.link)
        expect(page.locator("#next")).to_have_text("1 The top")
        expect(page.locator("#definition")).to_have_text("Where the top is.")
        # By mouse, one after the other.
        for number in (1, 2):
            page.mouse.click(*on_screen(page, *PLACES[number]))
        expect(page.locator("#next")).to_have_text("3 The right-tip")
        # In another order, and one that can't be seen.
        page.locator("#landmarks").get_by_role("button", name="The spur").click()
        expect(page.locator("#next")).to_have_text("5 The spur")
        page.keyboard.press("x")
        expect(page.locator("#next")).to_have_text("3 The right-tip")
        # By keyboard: in the middle, 100, 120, and then to its place.
        page.locator("#stage").focus()
        page.keyboard.press("Enter")
        for _ in range(6):
            page.keyboard.press("Shift+ArrowRight")
        expected = {1: PLACES[1], 2: PLACES[2], 3: PLACES[3], 5: "not-found"}
        saved(program, expected)
        # A tenth and a whole px.
        before = program.marks()[3]
        page.keyboard.press("Alt+ArrowLeft")
        page.keyboard.press("ArrowDown")
        saved(program, {**expected, 3: (PLACES[3][0], PLACES[3][1] + 1)})
        assert program.marks()[3] == pytest.approx((before[0] - 0.1, before[1] + 1))
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")
        saved(program, expected)
        page.mouse.click(*on_screen(page, *PLACES[4]))
        all_of_them = {**expected, 4: PLACES[4]}
        saved(program, all_of_them)
        expect(page.locator("#count")).to_have_text("4 of 5 placed, 1 can't be seen")
        # Not beside the film, and nothing more when all are marked.
        page.mouse.click(*on_screen(page, 50, 50))
        page.locator("#status", has_text="all landmarks are marked").wait_for()
        # Dragged, removed, and both undone; then the second once more.
        page.mouse.move(*on_screen(page, *PLACES[2]))
        page.mouse.down()
        page.mouse.move(*on_screen(page, 60, 100), steps=3)
        page.mouse.up()
        saved(program, {**all_of_them, 2: (60, 100)})
        page.keyboard.press("Delete")
        without = {number: mark for number, mark in all_of_them.items() if number != 2}
        saved(program, without)
        page.locator("#undo").click()
        page.locator("#undo").click()
        saved(program, all_of_them)
        page.keyboard.press("Control+Shift+Z")
        page.keyboard.press("Control+Shift+Z")
        saved(program, without)
        page.locator("#undo").click()
        page.locator("#undo").click()
        saved(program, all_of_them)
        # The next film is another.
        page.keyboard.press("PageDown")
        expect(page.locator("#count")).to_have_text("0 of 5 placed")
        page.mouse.click(*on_screen(page, 30, 30))
        saved(program, {1: (30, 30)}, "2.png")
        expect(page.locator("#films option")).to_have_text(["1.png – 4/5 ✓", "2.png – 1/5"])
        assert nothing_is_cut_off(page)
    finally:
        program.kill()

    program = Annotate(folder)
    try:
        page = window(program.link)
        expect(page.locator("#count")).to_have_text("4 of 5 placed, 1 can't be seen")
        expect(page.locator(".mark.placed")).to_have_count(4)
        expect(page.locator("#landmarks tr.not-visible")).to_have_count(1)
        saved(program, all_of_them)
    finally:
        program.kill()

    # Training and others read it.
    check = subprocess.run([BINARIES / "onemark", "data", "check", ".", "--landmarks", "five.yaml"], cwd=folder, capture_output=True, text=True)
    assert check.returncode == 0 and "2 films, 2 annotated" in check.stdout, check.stdout + check.stderr
    convert = ["points", "convert", "landmarks.json", "--landmarks", "five.yaml", "--to", "csv", "--out", "points.csv"]
    subprocess.run([BINARIES / "onemark", *convert], cwd=folder, check=True)
    rows = (folder / "points.csv").read_text().splitlines()
    assert len(rows) == 1 + 5 and not any("spur" in row for row in rows), rows


def nothing_is_cut_off(page):
    """Every control is on the page, none wider than its place."""
    return page.evaluate("""() => document.documentElement.scrollWidth <= innerWidth
        && [...document.querySelectorAll('header > *, aside button, aside label')].every(one => {
            const box = one.getBoundingClientRect();
            return box.width === 0 || (box.left >= 0 && box.right <= innerWidth + 1);
        })""")


def test_two_windows_lose_nothing(folder, window):
    program = Annotate(folder)
    try:
        one, other = window(program.link), window(program.link)
        one.mouse.click(*on_screen(one, *PLACES[1]))
        saved(program, {1: PLACES[1]})
        other.mouse.click(*on_screen(other, *PLACES[2]))
        other.locator("#status", has_text="another window has moved this landmark").wait_for()
        # It shows what the first has placed, and goes on with the next.
        other.mouse.click(*on_screen(other, *PLACES[2]))
        saved(program, {1: PLACES[1], 2: PLACES[2]})
    finally:
        program.kill()


def test_another_reader_is_shown_beside(folder, window):
    (folder / "second.csv").write_text("image,landmark,x,y\n1.png,top,103,44\n")
    program = Annotate(folder, "--second-reader", "second.csv", "--spacing", "0.5")
    try:
        page = window(program.link)
        expect(page.locator(".other")).to_have_count(1)
        page.mouse.click(*on_screen(page, *PLACES[1]))
        saved(program, {1: PLACES[1]})
        told = page.locator("#landmarks tr").nth(1).locator(".apart").inner_text()
        px, mm = (float(number.split()[0]) for number in told.split(", "))
        assert (px, mm) == pytest.approx((5, 2.5), abs=0.6)
    finally:
        program.kill()
