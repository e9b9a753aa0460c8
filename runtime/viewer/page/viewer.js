// The viewer's page: shows one film at a time with its landmarks, and sends corrections to the engine, which measures again.

// `open` is null unless the page itself opens bundles and films.
import { open } from "./engine.js";
import { ask, button, during, element, listFilms, make, row, spacingText, told, turnPages } from "./page.js";
import { arrange, arrow, film, label, listen, lookByKey, marks, put, show as showWhole, showPixels, stage, within } from "./stage.js";

let desk, index, report;
// Number of movements. A response that arrives after a further movement is out of date.
let movements = 0;
// The corrections that are on their way, and where this page shows the landmarks of each film.
let corrections = Promise.resolve();
const places = {};
const hidden = new Set();

// The film and its landmarks

async function show(next) {
  index = next;
  element("films").value = next;
  marks.replaceChildren();
  await during("finding landmarks", async () => {
    const [found] = await Promise.all([told(`films/${next}`), showPixels(`films/${next}/image`)]);
    if (next !== index) return;
    film.alt = `The film ${found.file}`;
    stage.focus({ preventScroll: true });
    report = found;
    note(next, found);
    showWhole(report.film);
    draw();
  });
}

function draw() {
  drawMarks();
  drawTables();
  element("cautions").replaceChildren(...report.cautions.map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  element("save").replaceChildren(...desk.formats.map(format => button(format.title, () => during("saving", () => save(format.name)))));
}

async function save(format) {
  const file = await ask(`films/${index}/results/${format}`);
  const link = document.createElement("a");
  link.download = file.headers.get("Content-Disposition").match(/filename="(.*)"/)[1];
  link.href = URL.createObjectURL(await file.blob());
  link.click();
  URL.revokeObjectURL(link.href);
}

function drawMarks() {
  const focused = document.activeElement?.dataset?.number;
  marks.replaceChildren(...report.landmarks.filter(landmark => !hidden.has(landmark.number)).map(landmark => {
    const mark = make("g", {
      class: `mark ${landmark.status}`, tabindex: 0, role: "button", "data-number": landmark.number,
      "aria-label": `${landmark.title}, ${landmark.remark || "found"}`,
    });
    if (landmark.radius_mm && report.spacing && landmark.status !== "not-found") {
      const [x, y] = report.spacing.mm_per_px;
      mark.append(make("ellipse", { class: "reach", rx: landmark.radius_mm / x, ry: landmark.radius_mm / y, stroke: "currentColor" }));
    }
    // The same size on the screen at every zoom.
    mark.append(make("g", { class: "fixed" },
      make("circle", { r: 8 }), make("path", { d: "M-4 0H4M0-4V4" }), label(`${landmark.number} ${landmark.title}`)));
    put(mark, landmark.position);
    return mark;
  }));
  arrange();
  if (focused) marks.querySelector(`[data-number="${focused}"]`)?.focus();
}

function drawTables() {
  const body = element("landmarks").tBodies[0];
  body.replaceChildren(...report.landmarks.map(landmark => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(landmark.number);
    box.setAttribute("aria-label", `Show ${landmark.title}`);
    box.onchange = () => { box.checked ? hidden.delete(landmark.number) : hidden.add(landmark.number); drawMarks(); };
    const { x, y } = landmark.mm ?? landmark.position;
    const digits = landmark.mm ? 2 : 1;
    // A guess is no position. Its mark is shown, so that a person can put it where the landmark is.
    const written = number => landmark.status === "not-found" ? "–" : number.toFixed(digits);
    const line = row(landmark.status, [box], [landmark.number], [landmark.title],
      [written(x), "number"], [written(y), "number"], [reliability(landmark)]);
    line.title = `${desk.landmarks[landmark.number - 1].definition} ${landmark.remark}`;
    return line;
  }));
  const unit = report.spacing ? "mm" : "px";
  const [x, y] = element("landmarks").tHead.querySelectorAll(".number");
  x.textContent = `x ${unit}`;
  y.textContent = `y ${unit}`;
  element("spacing").textContent = spacingText(report.spacing);
  element("measurements").tBodies[0].replaceChildren(...report.measured.map(line =>
    row(line.value ? "" : "refused", [line.title], [line.value ?? "", "number"], [line.judgement])));
}

// Confidence and radius, short enough for a column; else `remark`.
function reliability({ status, confidence, radius_mm: radius, remark }) {
  if (status !== "found" || confidence === null) return remark;
  return `${Math.round(100 * confidence)} %` + (radius === null ? "" : `, ${radius.toFixed(1)} mm`);
}

// Correcting

// One after the other, so that each knows where the one before has put the landmark.
async function correct(number, position) {
  const [film, before] = [index, movements];
  corrections = corrections.then(() => during("measuring", () => send(film, number, position, before)));
  await corrections;
}

async function send(film, number, position, before) {
  // Where this page shows it: a correction of what another window has moved since is refused.
  const body = JSON.stringify({ ...position, was: places[film][number] });
  let now, fault;
  try {
    now = await told(`films/${film}/landmarks/${number}`, { method: position ? "PUT" : "DELETE", body });
  } catch (error) {
    fault = error;
    now = await told(`films/${film}`);
  }
  places[film][number] = now.landmarks.find(landmark => landmark.number === number)?.position;
  if (film === index && (fault || before === movements)) {
    report = now;
    note(film, now);
    draw();
  }
  if (fault) throw fault;
}

function note(film, found) {
  places[film] = Object.fromEntries(found.landmarks.map(landmark => [landmark.number, landmark.position]));
}

listen({
  press: () => { movements += 1; },
  drop: (mark, position) => correct(Number(mark.dataset.number), position),
  cancel: drawMarks,
});
stage.addEventListener("keydown", event => {
  if (!report || event.ctrlKey || event.metaKey || event.altKey) return;
  const mark = event.target.closest(".mark"), to = arrow(event);
  const landmark = mark && report.landmarks.find(one => one.number === Number(mark.dataset.number));
  if (to && landmark) {
    const step = event.shiftKey ? 10 : 1;
    landmark.position = within(landmark.position.x + to[0] * step, landmark.position.y + to[1] * step);
    put(mark, landmark.position);
    landmark.moved = true;
    movements += 1;
  } else if (landmark && (event.key === "Delete" || event.key === "Backspace")) {
    correct(landmark.number, null);
  } else if (!lookByKey(event)) {
    return;
  }
  event.preventDefault();
});
// A key that is held down moves the landmark many times, but sends one correction.
stage.addEventListener("keyup", () => {
  const landmark = report?.landmarks.find(one => one.moved);
  if (!landmark) return;
  landmark.moved = false;
  correct(landmark.number, landmark.position);
});

element("all").onchange = event => {
  hidden.clear();
  if (!event.target.checked) report.landmarks.forEach(landmark => hidden.add(landmark.number));
  draw();
};
turnPages(() => desk?.films.length ?? 0, show);
element("learn").onclick = () => during("adapting", async () => {
  const adapted = await told(`films/${index}/learn`, { method: "POST" });
  desk = adapted.desk;
  describe();
  report = await told(`films/${index}`);
  draw();
  element("learn").after(` ${adapted.told}`);
});

function describe() {
  element("bundle").textContent = `${desk.bundle.name}, SHA-256 ${desk.bundle.sha256.slice(0, 16)}…, on ${desk.backend}`;
  element("learn").hidden = !desk.learns;
}

// Lists the films and shows one of them.
async function start(first) {
  const opened = await during("opening", async () => {
    desk = await told("desk");
    listFilms(desk.films);
    describe();
  });
  if (opened && first < desk.films.length) await show(first);
}

if (open) {
  const [bundle, films, spacing] = ["open-bundle", "open-films", "open-spacing"].map(element);
  element("open").hidden = false;
  bundle.onchange = async () => {
    films.disabled = true;
    if (!await during("opening the bundle", () => open.bundle(bundle.files[0]))) return;
    films.disabled = false;
    await start(0);
  };
  films.onchange = async () => {
    const first = desk.films.length;
    if (await during("reading the films", () => open.films([...films.files], spacing.value))) await start(first);
    films.value = "";
  };
} else {
  await start(0);
}
