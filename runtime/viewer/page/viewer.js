// The viewer's page: shows one film at a time with its landmarks, and sends corrections to the engine, which measures again.
// Coordinates are film px from the film's top-left corner; `view` maps them to the screen.

// `request` is like `fetch`. `open` is null unless the page itself opens bundles and films.
import { open, request } from "./engine.js";

const SVG = "http://www.w3.org/2000/svg";
const ZOOM = 1.25;
const element = id => document.getElementById(id);
const stage = element("stage"), sheet = element("sheet"), film = element("film"), marks = element("marks");

let desk, index, report;
let view = { x: 0, y: 0, scale: 1 };
// Number of movements. A response that arrives after a further movement is out of date.
let movements = 0;
// The corrections that are on their way, and where this page shows the landmarks of each film.
let corrections = Promise.resolve();
const places = {};
const hidden = new Set();

async function ask(path, options) {
  const answer = await request(path, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

async function told(path, options) { return (await ask(path, options)).json(); }

// Runs `work` and shows `what` meanwhile, or the error. Returns whether it succeeded.
async function during(what, work) {
  say(`${what} …`);
  stage.classList.add("busy");
  try {
    await work();
    say("");
    return true;
  } catch (error) {
    say(error.message);
    return false;
  } finally {
    stage.classList.remove("busy");
  }
}

function say(text) { element("status").textContent = text; }

function make(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function row(className, ...cells) {
  const line = document.createElement("tr");
  line.className = className;
  for (const [content, kind] of cells) {
    const cell = document.createElement("td");
    if (kind) cell.className = kind;
    cell.append(content);
    line.append(cell);
  }
  return line;
}

// The film and its landmarks

async function show(next) {
  index = next;
  element("films").value = next;
  marks.replaceChildren();
  await during("finding landmarks", async () => {
    const [found] = await Promise.all([told(`films/${next}`), showPixels(next)]);
    if (next !== index) return;
    film.alt = `The film ${found.file}`;
    element("stage").focus({ preventScroll: true });
    report = found;
    note(next, found);
    fit();
    draw();
  });
}

async function showPixels(index) {
  const image = await ask(`films/${index}/image`);
  URL.revokeObjectURL(film.src);
  film.src = URL.createObjectURL(await image.blob());
  await film.decode();
}

function draw() {
  drawMarks();
  drawTables();
  element("cautions").replaceChildren(...report.cautions.map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  element("save").replaceChildren(...desk.formats.map(format => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = format.title;
    button.onclick = () => during("saving", () => save(format.name));
    return button;
  }));
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
  marks.setAttribute("viewBox", `0 0 ${report.film.width} ${report.film.height}`);
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
      make("circle", { r: 8 }), make("path", { d: "M-4 0H4M0-4V4" }),
      make("text", { x: 11, y: 4 }, `${landmark.number} ${landmark.title}`)));
    place(mark, landmark.position);
    return mark;
  }));
  scaleMarks();
  if (focused) marks.querySelector(`[data-number="${focused}"]`)?.focus();
}

function place(mark, { x, y }) { mark.setAttribute("transform", `translate(${x} ${y})`); }

function scaleMarks() {
  for (const fixed of marks.querySelectorAll(".fixed")) fixed.setAttribute("transform", `scale(${1 / view.scale})`);
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
  element("spacing").textContent = spacing(report);
  element("measurements").tBodies[0].replaceChildren(...report.measured.map(line =>
    row(line.value ? "" : "refused", [line.title], [line.value ?? "", "number"], [line.judgement])));
}

// Where millimetres come from.
function spacing({ spacing }) {
  if (!spacing) return "No pixel spacing is stated, so there are no mm.";
  const [x, y] = spacing.mm_per_px;
  return `${x} x ${y} mm per px by ${spacing.source}`;
}

// Confidence and radius, short enough for a column; else `remark`.
function reliability({ status, confidence, radius_mm: radius, remark }) {
  if (status !== "found" || confidence === null) return remark;
  return `${Math.round(100 * confidence)} %` + (radius === null ? "" : `, ${radius.toFixed(1)} mm`);
}

// Looking

function fit() {
  const { width, height } = report.film;
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  look({ scale, x: (stage.clientWidth - width * scale) / 2, y: (stage.clientHeight - height * scale) / 2 });
}

function look(next) {
  view = next;
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  scaleMarks();
}

// Zooms so that the film's point at (x, y) of the stage stays in place.
function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, .02), 40);
  const by = scale / view.scale;
  look({ scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by });
}

function onFilm(event) {
  const corner = stage.getBoundingClientRect();
  return within((event.clientX - corner.left - view.x) / view.scale, (event.clientY - corner.top - view.y) / view.scale);
}

// The nearest place on the film.
function within(x, y) {
  const clamp = (value, end) => Math.min(Math.max(value, 0), end - .01);
  return { x: clamp(x, report.film.width), y: clamp(y, report.film.height) };
}

function grey() {
  const level = Number(element("level").value), width = Number(element("width").value);
  for (const one of element("window").querySelectorAll("feComponentTransfer > *")) {
    one.setAttribute("slope", 255 / width);
    one.setAttribute("intercept", .5 - level / width);
  }
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

stage.addEventListener("pointerdown", event => {
  if (!report) return;
  event.preventDefault();
  const mark = event.button === 0 && event.target.closest(".mark");
  const [x, y, start] = [event.clientX, event.clientY, view];
  const [level, width] = [Number(element("level").value), Number(element("width").value)];
  let moved = false;
  const move = now => {
    moved ||= Math.hypot(now.clientX - x, now.clientY - y) > 2;
    if (!moved) return;
    if (mark) {
      place(mark, onFilm(now));
    } else if (event.button === 2 || event.shiftKey) {
      element("level").value = level + (now.clientY - y) / 2;
      element("width").value = width + (now.clientX - x) / 2;
      grey();
    } else {
      look({ ...start, x: start.x + now.clientX - x, y: start.y + now.clientY - y });
    }
  };
  const end = last => {
    stage.removeEventListener("pointermove", move);
    if (mark && moved && last.type === "pointerup") correct(Number(mark.dataset.number), onFilm(last));
    else if (mark && moved) drawMarks();
  };
  movements += mark ? 1 : 0;
  (mark || stage).focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  stage.addEventListener("pointermove", move);
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, end, { once: true });
});
stage.addEventListener("contextmenu", event => event.preventDefault());
stage.addEventListener("wheel", event => {
  event.preventDefault();
  const corner = stage.getBoundingClientRect();
  zoom(ZOOM ** (-event.deltaY / 100), event.clientX - corner.left, event.clientY - corner.top);
}, { passive: false });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", event => {
  if (!report || event.ctrlKey || event.metaKey || event.altKey) return;
  const mark = event.target.closest(".mark"), arrow = ARROWS[event.key];
  const landmark = mark && report.landmarks.find(one => one.number === Number(mark.dataset.number));
  if (arrow && landmark) {
    const step = event.shiftKey ? 10 : 1;
    landmark.position = within(landmark.position.x + arrow[0] * step, landmark.position.y + arrow[1] * step);
    place(mark, landmark.position);
    landmark.moved = true;
    movements += 1;
  } else if (arrow) {
    look({ ...view, x: view.x - 40 * arrow[0], y: view.y - 40 * arrow[1] });
  } else if (landmark && (event.key === "Delete" || event.key === "Backspace")) {
    correct(landmark.number, null);
  } else if (event.key === "+" || event.key === "=") {
    zoom(ZOOM);
  } else if (event.key === "-") {
    zoom(1 / ZOOM);
  } else if (event.key === "0") {
    fit();
  } else {
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

element("closer").onclick = () => zoom(ZOOM);
element("farther").onclick = () => zoom(1 / ZOOM);
element("fit").onclick = fit;
element("view").oninput = grey;
element("view").onreset = () => setTimeout(() => { grey(); stage.classList.remove("unnamed"); });
element("names").onchange = event => stage.classList.toggle("unnamed", !event.target.checked);
element("all").onchange = event => {
  hidden.clear();
  if (!event.target.checked) report.landmarks.forEach(landmark => hidden.add(landmark.number));
  draw();
};
element("films").onchange = event => show(Number(event.target.value));
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
    element("films").replaceChildren(...desk.films.map((file, index) => {
      const option = new Option(file.split(/[\\/]/).pop(), index);
      option.title = file;
      return option;
    }));
    describe();
    grey();
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
