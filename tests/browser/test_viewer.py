"""The page that `onemark view` serves: a person corrects points by mouse and by keyboard, in one window and in two."""

import json
import re
import signal
import subprocess

import pytest
from conftest import BINARIES


class View:
    """`onemark view` with one film, and what it keeps of corrections."""

    def __init__(self, folder, bundle, film):
        self.kept = folder / "kept.json"
        words = ["view", film, "--bundle", bundle, "--backend", "tract", "--spacing", "0.1", "--corrections", self.kept]
        self.program = subprocess.Popen([BINARIES / "onemark", *words], stdout=subprocess.PIPE, text=True)
        self.link = self.program.stdout.readline().strip()

    def kill(self):
        self.program.send_signal(signal.SIGKILL)
        self.program.wait()

    def place(self, number):
        """Where a corrected point was kept, px; None if it is where it was found."""
        corrected = {landmark["number"]: landmark["position"] for film in json.loads(self.kept.read_text())["films"] for landmark in film["landmarks"]}
        return tuple(corrected[number].values()) if number in corrected else None


@pytest.fixture
def view(bundle, film, tmp_path):
    view = View(tmp_path, bundle, film)
    yield view
    view.kill()


@pytest.fixture
def window(browser):
    """Opens windows of one size. No error occurs in any of them."""
    opened, broken = [], []

    def open_window(link, size=(1400, 900)):
        page = browser.new_page(viewport=dict(zip(("width", "height"), size)))
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(link)
        page.locator(".mark").first.wait_for()
        opened.append(page)
        return page

    yield open_window
    for page in opened:
        page.close()
    assert not broken


def place(page, number):
    """Where a window shows a point, px of the film."""
    transform = page.locator(f'.mark[data-number="{number}"]').get_attribute("transform")
    return tuple(map(float, re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", transform)))


def drag(page, number, x, y):
    """Drags a point to a place that is x, y px of the screen from the middle of the stage."""
    stage = page.locator("#stage").bounding_box()
    x1, y1 = stage["x"] + stage["width"] / 2 + x, stage["y"] + stage["height"] / 2 + y
    box = page.locator(f'.mark[data-number="{number}"] circle').bounding_box()
    x0, y0 = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=4)
    page.mouse.up()


def quiet(page):
    """Waits until nothing is on its way any more."""
    page.locator("#stage:not(.busy)").wait_for()
    page.wait_for_function("document.getElementById('status').textContent === ''")


def test_a_point_is_moved_by_mouse_and_by_keyboard(view, window):
    page = window(view.link)
    found = place(page, 1)
    drag(page, 1, 30, 20)
    page.locator("#landmarks tr.edited-by-hand").wait_for()
    quiet(page)
    dragged = place(page, 1)
    assert dragged != pytest.approx(found) and view.place(1) == pytest.approx(dragged)
    # Keys faster than answers: every step counts, and none is refused.
    mark = page.locator('.mark[data-number="1"]')
    mark.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    quiet(page)
    assert place(page, 1) == pytest.approx((dragged[0] + 5, dragged[1] - 10))
    assert view.place(1) == pytest.approx(place(page, 1))
    # Not beyond the film's edge.
    for _ in range(30):
        page.keyboard.press("Shift+ArrowLeft")
    quiet(page)
    assert place(page, 1)[0] == 0 and view.place(1) == pytest.approx(place(page, 1))
    page.keyboard.press("Delete")
    quiet(page)
    assert place(page, 1) == pytest.approx(found) and view.place(1) is None


def test_a_window_that_shows_an_old_place_is_told(view, window):
    one, other = window(view.link), window(view.link)
    drag(one, 2, 30, 0)
    quiet(one)
    moved = place(one, 2)
    drag(other, 2, 0, 30)
    other.locator("#status", has_text="another window has moved this landmark").wait_for()
    # It shows the new place now, from which a person goes on.
    assert place(other, 2) == pytest.approx(moved)
    drag(other, 2, 0, 30)
    quiet(other)
    assert view.place(2) == pytest.approx(place(other, 2)) and view.place(2) != pytest.approx(moved)


def test_a_killed_viewer_shows_what_was_corrected(view, window, bundle, film, tmp_path):
    page = window(view.link)
    drag(page, 3, -20, 15)
    quiet(page)
    moved = place(page, 3)
    view.kill()
    again = View(tmp_path, bundle, film)
    try:
        page = window(again.link)
        assert place(page, 3) == pytest.approx(moved)
        page.locator("#landmarks tr.edited-by-hand").wait_for()
    finally:
        again.kill()
