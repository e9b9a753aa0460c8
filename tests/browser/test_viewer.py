"""The page that `onemark view` serves: a person corrects points, looks at measurements and measures the film, by mouse and by keyboard, in
one window and in two."""

import json
import re
import signal
import subprocess

import pytest
from conftest import BINARIES
from PIL import Image
from playwright.sync_api import expect

# What the page shows may follow the program's answer: it is waited for, ms.
expect.set_options(timeout=30_000)


class View:
    """`onemark view`, and what it keeps of corrections."""

    def __init__(self, folder, bundle, *films):
        self.kept = folder / "kept.json"
        words = ["view", *films, "--bundle", bundle, "--backend", "tract", "--spacing", "0.1", "--corrections", self.kept]
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
    expect(page.locator("#landmarks tr.edited-by-hand")).to_have_count(1)
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
        expect(page.locator("#landmarks tr.edited-by-hand")).to_have_count(1)
    finally:
        again.kill()


SIZES = pytest.mark.parametrize("size", [(1400, 900), (900, 700)], ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture
def two(bundle, film, tmp_path):
    """A viewer with two films."""
    other = tmp_path / "other.png"
    Image.open(film).rotate(180).save(other)
    view = View(tmp_path, bundle, film, other)
    yield view
    view.kill()


def drawn(page, kind="line"):
    """The lines of one kind that are drawn on the film, px of the film."""
    points = page.locator(f"#drawing .{kind} .core").evaluate_all("all => all.map(one => [...one.points].map(at => [at.x, at.y]))")
    return points


@SIZES
def test_a_chosen_measurement_is_drawn_and_follows_its_points(view, window, size):
    page = window(view.link, size)
    choice = page.locator("#measurements").get_by_role("button", name="S-N: ")
    choice.click()
    expect(choice).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chosen")).to_contain_text("S-N: Anterior skull base: ")
    expect(page.locator("#drawing .length")).to_have_count(1)
    ends = drawn(page, "length")[0]
    assert ends == [pytest.approx(place(page, 1), abs=0.01), pytest.approx(place(page, 2), abs=0.01)]
    # While the mouse still moves the point: value and line follow, and nothing is saved.
    before = page.locator("#chosen").inner_text()
    box = page.locator('.mark[data-number="1"] circle').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 30, steps=4)
    expect(page.locator("#chosen")).not_to_have_text(before)
    page.wait_for_function("""() => {
        const line = document.querySelector('#drawing .length .core'), mark = document.querySelector('.mark[data-number="1"]');
        return Math.abs(line.points[0].x - mark.position.x) < .02 && Math.abs(line.points[0].y - mark.position.y) < .02;
    }""")
    assert not view.kept.exists()
    page.mouse.up()
    expect(page.locator("#kept")).to_have_text("1 point moved on this film. Saved as you work, in kept.json ✓")
    assert drawn(page, "length")[0][0] == pytest.approx(place(page, 1), abs=0.01)
    # By keyboard to the next one, and none when it is chosen again.
    choice.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#chosen")).to_contain_text("S-Ar: ")
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_be_hidden()
    expect(page.locator("#drawing .stroke")).to_have_count(0)


@SIZES
def test_everything_is_reachable_without_scrolling_the_page(view, window, size):
    page = window(view.link, size)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(aside => aside.scrollHeight <= aside.clientHeight + 1)(document.querySelector('aside'))")
    for part in ["#measurements-tab", "#landmarks-tab", "#kept", "#save button >> nth=0", "#spacing", "#ruler", "#fit", "#after", "footer"]:
        box = page.locator(part).bounding_box()
        assert box and box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= size[0] and box["y"] + box["height"] <= size[1], (part, box)
    # Measurements first, in groups; landmarks by their tab.
    expect(page.locator("#measurements th").first).to_have_text("ISBI 2015")
    expect(page.locator("#landmarks")).to_be_hidden()
    page.get_by_role("tab", name="Landmarks").click()
    expect(page.locator("#landmarks")).to_be_visible()
    expect(page.locator("#measurements")).to_be_hidden()
    assert page.evaluate("(panel => panel.scrollWidth <= panel.clientWidth)(document.getElementById('landmarks-panel'))")
    last = page.locator("#landmarks tr").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()


@SIZES
def test_a_ruler_states_the_spacing(view, window, size):
    page = window(view.link, size)
    expect(page.locator("#spacing")).to_have_text("0.1 x 0.1 mm per px by --spacing")
    drag(page, 3, -20, 15)
    expect(page.locator("#kept")).to_contain_text("1 point moved")
    page.locator("#ruler").click()
    expect(page.locator(".mark.ruler")).to_have_count(2)
    # A line is drawn beside all marks: from one place on the film to another.
    box = page.locator("#film").bounding_box()
    px = lambda x, y: (box["x"] + x * box["width"] / 200, box["y"] + y * box["height"] / 240)
    taken = page.locator(".mark[data-number]").evaluate_all("all => all.map(one => [one.position.x, one.position.y])")
    free = next(y for y in range(20, 220, 5) if all(abs(y - at[1]) > 12 or abs(10 - at[0]) > 12 for at in taken))
    page.mouse.move(*px(10, free))
    page.mouse.down()
    page.mouse.move(*px(110, free), steps=4)
    page.mouse.up()
    expect(page.locator("#px")).to_have_text("100 px")
    # Its end is moved by keys.
    page.locator('.mark[data-end="1"]').focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#px")).to_have_text("110 px")
    page.keyboard.press("Shift+ArrowLeft")
    page.locator("#mm").fill("50")
    page.locator("#mm").press("Enter")
    expect(page.locator("#spacing")).to_contain_text("mm per px by a person (ruler)")
    assert float(page.locator("#spacing").inner_text().split()[0]) == pytest.approx(0.5, rel=0.02)
    # Whatever else is stated is named, by the one rule; the correction stays.
    expect(page.locator("#cautions")).to_contain_text("by a person (ruler) was used, but 0.1 x 0.1 mm per px by --spacing is stated too")
    expect(page.locator(".mark.edited-by-hand")).to_have_count(1)
    expect(page.locator("#rule")).to_be_hidden()
    # It is there when the viewer is opened again, and can be taken away.
    page.reload()
    expect(page.locator("#spacing")).to_contain_text("by a person (ruler)")
    page.locator("#unrule").click()
    expect(page.locator("#spacing")).to_have_text("0.1 x 0.1 mm per px by --spacing")
    # What can't be a ruler is said.
    page.locator("#ruler").click()
    page.locator("#mm").fill("-3")
    page.locator("#mm").press("Enter")
    expect(page.locator("#status")).to_contain_text("state its length in mm")


def test_a_ruler_outlives_a_killed_viewer(view, window, bundle, film, tmp_path):
    page = window(view.link)
    page.locator("#ruler").click()
    page.locator("#mm").fill("30")
    page.locator("#mm").press("Enter")
    expect(page.locator("#spacing")).to_contain_text("by a person (ruler)")
    said = page.locator("#spacing").inner_text()
    view.kill()
    # Nobody has looked at the points, so none of them is kept as if.
    [kept] = json.loads(view.kept.read_text())["films"]
    assert kept["landmarks"] == [] and kept["measurements"] == []
    again = View(tmp_path, bundle, film)
    try:
        expect(window(again.link).locator("#spacing")).to_have_text(said)
    finally:
        again.kill()


def test_a_resized_window_shows_the_whole_film(view, window):
    page = window(view.link)
    film = page.locator("#film")
    first = film.bounding_box()
    for size in [(900, 700), (1200, 500), (1400, 900)]:
        page.set_viewport_size(dict(zip(("width", "height"), size)))
        page.wait_for_function("""() => {
            const [film, stage] = ['film', 'stage'].map(id => document.getElementById(id).getBoundingClientRect());
            const gaps = [film.left - stage.left, stage.right - film.right, film.top - stage.top, stage.bottom - film.bottom];
            return Math.min(...gaps) > -1 && Math.min(gaps[0] + gaps[1], gaps[2] + gaps[3]) < 1;
        }""")
    assert film.bounding_box() == pytest.approx(first)


def test_films_are_turned_by_buttons_and_keys(two, window):
    page = window(two.link)
    films, before, after = (page.locator(one) for one in ("#films", "#before", "#after"))
    expect(before).to_be_disabled()
    after.click()
    expect(films).to_have_value("1")
    expect(after).to_be_disabled()
    quiet(page)
    page.keyboard.press("PageUp")
    expect(films).to_have_value("0")
    quiet(page)
    page.keyboard.press("PageDown")
    expect(films).to_have_value("1")
    quiet(page)
    before.click()
    expect(films).to_have_value("0")
    quiet(page)


def test_the_report_prints_on_two_sheets(view, window, browser):
    page = window(view.link)
    with page.expect_download() as download:
        page.locator("#save").get_by_role("button", name="html", exact=True).click()
    report = browser.new_page()
    report.set_content(download.value.path().read_text())
    assert report.locator("path.planes").get_attribute("d").startswith("M")
    sheets = re.findall(rb"/Type\s*/Page\b(?!s)", report.pdf(prefer_css_page_size=True))
    report.close()
    assert len(sheets) == 2
