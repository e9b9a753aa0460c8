// The viewer's page: shows one film at a time with its landmarks, and sends corrections to the engine, which measures again.

// `open` is null unless the page itself opens bundles and films.
import { open } from "./engine.js";
import { ask, button, during, element, listFilms, make, noteFilm, row, spacingText, told, turnPages } from "./page.js";
import * as ruler from "./ruler.js";
import { arrange, arrow, film, label, line, listen, lookByKey, marks, put, show as showWhole, showPixels, stage, within } from "./stage.js";

let desk, index, report;
// The name of the measurement that is drawn on the film, and the measurements while a landmark is being moved; null for none.
let chosen = null, tried = null;
// Number of movements. A response that arrives after a further movement is out of date.
let movements = 0;
// The corrections that are on their way, and where this page shows the landmarks of each film.
let corrections = Promise.resolve();
const places = {};
const hidden = new Set();

// The film and its landmarks

async function show(next) {
  index = next;
  noteFilm(next, desk.films.length);
  ruler.toggle(false);
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
  tried = null;
  drawMarks();
  drawLandmarks();
  drawMeasurements();
  element("cautions").replaceChildren(...report.cautions.map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  element("spacing").textContent = spacingText(report.spacing);
  element("unrule").hidden = !report.ruled;
  sayKept();
  element("save").replaceChildren(...desk.formats.map(format => button(format.title, () => during("saving", () => save(format.name)))));
}

// Where corrections are kept: a person need not save them.
function sayKept() {
  const count = report.landmarks.filter(landmark => landmark.status === "edited-by-hand").length;
  const moved = `${count || "No"} point${count === 1 ? "" : "s"} moved on this film`;
  const file = desk.kept_in?.split(/[\\/]/).pop();
  element("kept").textContent = file ? `${moved}. Saved as you work, in ${file} ✓` : `${moved}. Not saved in a file: download what you need.`;
  element("kept").title = desk.kept_in ?? "";
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
  marks.replaceChildren(make("g", { id: "drawing" }), ...report.landmarks.filter(landmark => !hidden.has(landmark.number)).map(landmark => {
    const mark = make("g", {
      class: `mark ${landmark.status}`, tabindex: 0, role: "button", "data-number": landmark.number,
      "aria-label": `${landmark.title}, ${landmark.remark || "found"}`,
    });
    if (landmark.radius_mm && report.spacing && landmark.status !== "not-found") {
      const [x, y] = report.spacing.mm_per_px;
      const radii = { rx: landmark.radius_mm / x, ry: landmark.radius_mm / y };
      mark.append(...["halo", "core"].map(part => make("ellipse", { class: `reach ${part}`, ...radii })));
    }
    // The same size on the screen at every zoom.
    mark.append(make("g", { class: "fixed" },
      make("circle", { r: 8 }), make("path", { d: "M-4 0H4M0-4V4" }), label(`${landmark.number} ${landmark.title}`)));
    put(mark, landmark.position);
    return mark;
  }), ...ruler.parts());
  drawChosen();
  arrange();
  if (focused) marks.querySelector(`[data-number="${focused}"]`)?.focus();
}

function drawLandmarks() {
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
}

// Confidence and radius, short enough for a column; else `remark`.
function reliability({ status, confidence, radius_mm: radius, remark }) {
  if (status !== "found" || confidence === null) return remark;
  return `${Math.round(100 * confidence)} %` + (radius === null ? "" : `, ${radius.toFixed(1)} mm`);
}

// Measurements

// In groups by their sources, in the order in which these come first.
function drawMeasurements() {
  const { measurements, measured } = tried ?? report;
  const focused = document.activeElement?.dataset?.measurement;
  const groups = new Map();
  measurements.forEach(({ name, source }, at) => {
    const { title, value, judgement } = measured[at];
    const choose = button(title, () => choosing(name === chosen ? null : name));
    choose.dataset.measurement = name;
    choose.setAttribute("aria-pressed", name === chosen);
    const about = document.createElement("small");
    about.textContent = judgement;
    const what = document.createElement("div");
    what.append(choose, about);
    const line = row(value ? "" : "refused", [what], [value ?? "–", "number"]);
    groups.set(source, [...groups.get(source) ?? [], line]);
  });
  element("measurements").replaceChildren(...[...groups].map(([source, lines]) => {
    const group = document.createElement("tbody"), head = document.createElement("th");
    head.textContent = source;
    head.title = desk.sources[source] ?? "";
    head.colSpan = 2;
    head.scope = "rowgroup";
    group.insertRow().append(head);
    group.append(...lines);
    return group;
  }));
  if (focused) [...choices()].find(one => one.dataset.measurement === focused)?.focus();
}

const choices = () => element("measurements").querySelectorAll("button");

// Draws this measurement on the film; null: none.
function choosing(name) {
  chosen = name;
  for (const one of choices()) one.setAttribute("aria-pressed", one.dataset.measurement === name);
  drawChosen();
}

function drawChosen() {
  const { measurements, measured } = tried ?? report;
  const at = measurements.findIndex(one => one.name === chosen);
  const lines = at < 0 ? [] : measurements[at].drawing ?? [];
  element("drawing")?.replaceChildren(...lines.map(({ kind, points }) => line(kind, points)));
  element("chosen").hidden = at < 0;
  element("chosen").textContent = at < 0 ? "" : `${measured[at].title}: ${measured[at].value ?? measurements[at].refused}`;
}

element("measurements").addEventListener("keydown", event => {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key], all = [...choices()];
  const next = by && all[all.indexOf(event.target) + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
  choosing(next.dataset.measurement);
});

const tabs = document.querySelectorAll("[role=tab]");
for (const tab of tabs) {
  tab.onclick = () => {
    for (const one of tabs) {
      one.setAttribute("aria-selected", one === tab);
      element(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
  };
}

// Correcting

// The place of a landmark for which measurements are wanted while it is being moved, and whether others are on their way.
let wanted = null, trying = false;

// Measures as if a landmark were at another place; nothing is changed. While one answer is on its way, only the last place counts.
async function tryAt(number, position) {
  wanted = { path: `films/${index}/landmarks/${number}/trial`, body: JSON.stringify(position) };
  if (trying) return;
  trying = true;
  while (wanted) {
    const { path, body } = wanted, before = movements;
    wanted = null;
    // A correction that fails is told of when the landmark is dropped.
    const now = await told(path, { method: "POST", body }).catch(() => null);
    if (!now || before !== movements) continue;
    tried = now;
    drawMeasurements();
    drawChosen();
  }
  trying = false;
}

function endTrial() {
  movements += 1;
  wanted = null;
}

// One after the other, so that each knows where the one before has put the landmark.
async function correct(number, position) {
  const [film, before] = [index, movements];
  element("kept").textContent = "Saving …";
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
  drag: mark => mark.dataset.end ? ruler.drag(mark, mark.position) : tryAt(Number(mark.dataset.number), mark.position),
  drop: (mark, position) => {
    if (mark.dataset.end) return;
    endTrial();
    correct(Number(mark.dataset.number), position);
  },
  cancel: () => { endTrial(); draw(); },
  sketch: (from, to) => {
    if (ruler.isOut() && to) ruler.stretch(from, to);
    return ruler.isOut();
  },
});
stage.addEventListener("keydown", event => {
  if (!report || event.ctrlKey || event.metaKey || event.altKey) return;
  const mark = event.target.closest(".mark"), to = arrow(event);
  const landmark = mark && report.landmarks.find(one => one.number === Number(mark.dataset.number));
  const step = event.shiftKey ? 10 : 1;
  if (to && mark?.dataset.end) {
    ruler.nudge(mark, to, step);
  } else if (event.key === "Escape") {
    ruler.toggle(false);
  } else if (to && landmark) {
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

// The ruler

element("ruler").onclick = () => { if (report) ruler.toggle(); };
// Corrections that are on their way come first, so that what is shown has them.
const rule = options => during("measuring", async () => {
  const film = index;
  await corrections;
  const now = await told(`films/${film}/ruler`, options);
  if (film !== index) return;
  report = now;
  ruler.toggle(false);
  draw();
});
element("rule").onsubmit = event => { event.preventDefault(); rule({ method: "PUT", body: ruler.stated() }); };
element("unrule").onclick = () => rule({ method: "DELETE" });

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
  element("learnt").textContent = adapted.told;
});

function describe() {
  element("bundle").textContent = `${desk.bundle.name}, SHA-256 ${desk.bundle.sha256.slice(0, 16)}…, on ${desk.backend}`;
  element("learning").hidden = !desk.learns;
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
