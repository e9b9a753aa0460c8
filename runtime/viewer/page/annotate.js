// The page for annotation: a person says of each landmark where it is on a film, or that it can't be seen. Every change is sent to
// the engine, which keeps it.

import { button, during, element, listFilms, make, noteFilm, row, say, spacingText, told, turnPages } from "./page.js";
import {
  arrange, arrow, bringIntoView, film, isOnFilm, label, listen, lookByKey, marks, middle, onLook, place, put, show as showWhole,
  showPixels, stage, view, within,
} from "./stage.js";

// How much closer the loupe is than the film.
const CLOSER = 4;
// Positions are kept to a hundredth of a px. The corner, 0, 0, would mean "not annotated" in files of points.
const rounded = ({ x, y }) => ({ x: Math.max(.01, Math.round(x * 100) / 100), y: Math.max(.01, Math.round(y * 100) / 100) });

let desk, index, report, proposals = [];
// Numbers of landmarks: the one to place, and the one that keys move; null for none.
let next = null, selected = null;
// A point that a key moves as long as it is held down, and where it was.
let nudged = null;
// By film, what the engine has; and the changes that are on their way to it.
const known = {};
let saving = Promise.resolve();
// Changes to undo and to redo: a film, and of landmarks what they were and became.
const done = [], undone = [];

const markOf = number => report.landmarks[number - 1].mark;
const placeOf = number => markOf(number)?.placed;
const proposalOf = number => (markOf(number) ? undefined : proposals[number - 1] ?? undefined);
const titleOf = number => `${number} ${desk.landmarks[number - 1].title}`;
const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const numbers = () => desk.landmarks.map(landmark => landmark.number);

// The film

async function show(wanted) {
  finishNudge();
  index = wanted;
  noteFilm(wanted, desk.films.length);
  [report, next, selected] = [undefined, null, null];
  marks.replaceChildren();
  const opened = await during("reading the film", async () => {
    const [found] = await Promise.all([told(`films/${wanted}`), showPixels(`films/${wanted}/image`)]);
    if (wanted !== index) return;
    film.alt = `The film ${found.file}`;
    report = found;
    known[wanted] = found.landmarks.map(landmark => landmark.mark);
    proposals = [];
    [next, selected] = [following(0), null];
    showWhole(report.film);
    stage.focus({ preventScroll: true });
    caution(report.warnings);
    draw();
  });
  if (opened && desk.bundle && wanted === index && next !== null) propose(wanted);
}

async function propose(wanted) {
  await during("finding landmarks", async () => {
    const { points, refusal } = await told(`films/${wanted}/proposals`);
    if (wanted !== index) return;
    proposals = points.map(point => point && rounded(point));
    if (refusal) caution([...report.warnings, `no points are proposed: ${refusal}`]);
    draw();
  });
}

function caution(texts) {
  element("cautions").replaceChildren(...texts.map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

// The landmark after this one of which nothing is said yet; null if there is none.
function following(number, by = 1) {
  const count = desk.landmarks.length;
  for (let step = 1; step <= count; step += 1) {
    const other = ((number - 1 + by * step) % count + count) % count + 1;
    if (!markOf(other)) return other;
  }
  return null;
}

// Changes

// Notes what a person says of landmarks, given as [{ number, now }].
function change(changes) {
  finishNudge();
  const all = changes.map(({ number, now }) => ({ number, now, was: markOf(number) })).filter(one => !same(one.was, one.now));
  if (all.length === 0) return;
  done.push({ film: index, changes: all });
  undone.length = 0;
  apply(all);
}

function apply(changes) {
  const on = index;
  for (const { number, now } of changes) {
    report.landmarks[number - 1].mark = now;
    saving = saving.then(() => send(on, number, now));
    if (now?.placed) selected = number;
    else if (selected === number) selected = null;
    if (!now) next = number;
  }
  if (next === null || markOf(next)) next = following(next ?? 0);
  draw();
}

async function send(on, number, now) {
  // What the engine has as far as this page knows: a change of what another window has changed since is refused.
  const body = JSON.stringify({ now, was: known[on][number - 1] });
  try {
    const landmarks = await told(`films/${on}/landmarks/${number}`, { method: "PUT", body });
    known[on][number - 1] = landmarks[number - 1].mark;
    count(on, landmarks);
  } catch (error) {
    await recover(on, error);
  }
}

// Shows what the engine has, after it has refused a change.
async function recover(on, error) {
  try {
    const now = await told(`films/${on}`);
    known[on] = now.landmarks.map(landmark => landmark.mark);
    count(on, now.landmarks);
    if (on === index) {
      report = now;
      if (selected !== null && !placeOf(selected)) selected = null;
      draw();
    }
    say(error.message);
  } catch {
    say(`not saved, because the program that keeps the points does not answer: ${error.message}`);
  }
}

async function redoFrom(steps, others, which) {
  if (!report) return;
  finishNudge();
  const step = steps.pop();
  if (!step) return;
  others.push(step);
  if (step.film !== index) await show(step.film);
  apply(step.changes.map(one => ({ number: one.number, now: one[which] })));
}
const undo = () => redoFrom(done, undone, "was");
const redo = () => redoFrom(undone, done, "now");

function placeNext(position) {
  if (!report) return;
  if (next === null) return say("all landmarks are marked: drag a point to move it, or remove it to place it again");
  if (!isOnFilm(position)) return say("this is outside of the film");
  change([{ number: next, now: { placed: rounded(position) } }]);
}

function accept(which) {
  const changes = which.filter(proposalOf).map(number => ({ number, now: { placed: proposalOf(number) } }));
  change(changes);
}

function notVisible() { if (next !== null) change([{ number: next, now: "not-visible" }]); }
function remove() { if (selected !== null) change([{ number: selected, now: null }]); }

function nudge(to, by) {
  if (nudged && nudged.number !== selected) finishNudge();
  nudged ??= { number: selected, was: markOf(selected) };
  const { x, y } = placeOf(selected);
  report.landmarks[selected - 1].mark = { placed: rounded(within(x + to[0] * by, y + to[1] * by)) };
  bringIntoView(placeOf(selected));
  draw();
}

// A key that is held down moves the point many times, but makes one change.
function finishNudge() {
  if (!nudged) return;
  const { number, was } = nudged, now = markOf(number);
  nudged = null;
  report.landmarks[number - 1].mark = was;
  change([{ number, now }]);
}

// What is chosen in the list or on the film: a point to move, or a landmark to place.
function choose(number) {
  if (placeOf(number) ? selected === number : next === number) return;
  finishNudge();
  if (placeOf(number)) {
    selected = number;
    bringIntoView(placeOf(number));
  } else {
    [next, selected] = [number, null];
    if (proposalOf(number)) bringIntoView(proposalOf(number));
  }
  draw();
}

// Drawing

function draw() {
  const focused = document.activeElement?.closest("[data-number]");
  drawMarks();
  drawList();
  drawTask();
  magnify();
  if (focused) document.querySelector(`${focused.matches(".mark") ? ".mark" : "button"}[data-number="${focused.dataset.number}"]`)?.focus({ preventScroll: true });
}

function drawMarks() {
  const parts = [];
  for (const number of numbers()) {
    const second = element("show-second").checked && report.landmarks[number - 1].second_reader;
    const own = placeOf(number);
    if (second) {
      if (own) parts.push(make("line", { class: "apart", x1: own.x, y1: own.y, x2: second.x, y2: second.y }));
      const other = make("g", { class: "other" }, make("g", { class: "fixed" }, make("path", { d: "M-5-5H5V5H-5ZM-2 0H2M0-2V2" })));
      put(other, second);
      parts.push(other);
    }
  }
  for (const number of numbers()) {
    const [own, proposed] = [placeOf(number), proposalOf(number)];
    if (!own && !proposed) continue;
    const kind = [own ? "placed" : "proposed", number === selected && "selected", !own && number === next && "next"].filter(Boolean);
    const mark = make("g", {
      class: `mark ${kind.join(" ")}`, tabindex: 0, role: "button", "data-number": number,
      "aria-label": `${titleOf(number)}, ${own ? "placed" : "proposed"}`,
    });
    mark.append(make("g", { class: "fixed" },
      make("circle", { r: 8 }), make("path", { d: "M-8 0H-2M2 0H8M0-8V-2M0 2V8" }), label(titleOf(number))));
    put(mark, own ?? proposed);
    parts.push(mark);
  }
  marks.replaceChildren(...parts);
  arrange();
}

function drawList() {
  element("landmarks").tBodies[0].replaceChildren(...numbers().map(number => {
    const { mark } = report.landmarks[number - 1];
    const name = button(desk.landmarks[number - 1].title, () => choose(number));
    name.dataset.number = number;
    const kind = [mark?.placed ? "placed" : mark ?? (proposalOf(number) && "proposed"), number === next && "next", number === selected && "selected"];
    const line = row(kind.filter(Boolean).join(" "), [number], [name], [stateOf(number), "number"], [apart(number), "number apart"]);
    line.title = desk.landmarks[number - 1].definition;
    if (number === next) name.setAttribute("aria-current", "step");
    return line;
  }));
  (document.querySelector("#landmarks .next") ?? document.querySelector("#landmarks .selected"))?.scrollIntoView({ block: "nearest" });
}

function stateOf(number) {
  const place = placeOf(number);
  if (place) return `${place.x.toFixed(1)}, ${place.y.toFixed(1)}`;
  if (markOf(number)) return "can't be seen";
  return proposalOf(number) ? "proposed" : "";
}

// How far the second reader's point is away.
function apart(number) {
  const own = placeOf(number), second = report.landmarks[number - 1].second_reader;
  if (!own || !second) return second ? "–" : "";
  const [x, y] = [own.x - second.x, own.y - second.y];
  const px = `${Math.hypot(x, y).toFixed(1)} px`;
  if (!report.spacing) return px;
  const [mmX, mmY] = report.spacing.mm_per_px;
  return `${px}, ${Math.hypot(x * mmX, y * mmY).toFixed(2)} mm`;
}

function drawTask() {
  element("next").textContent = next === null ? "all landmarks are marked" : titleOf(next);
  element("definition").textContent = next === null ? "" : desk.landmarks[next - 1].definition;
  element("not-visible").disabled = next === null;
  element("remove").disabled = selected === null;
  element("remove").textContent = selected === null ? "Remove" : `Remove ${selected}`;
  element("undo").disabled = done.length === 0;
  element("redo").disabled = undone.length === 0;
  element("accept").disabled = next === null || !proposalOf(next);
  element("accept-all").disabled = !numbers().some(proposalOf);
  element("spacing").textContent = spacingText(report.spacing);
  tell(index);
}

function count(on, landmarks) {
  desk.films[on].placed = landmarks.filter(({ mark }) => mark?.placed).length;
  desk.films[on].not_visible = landmarks.filter(({ mark }) => mark === "not-visible").length;
  listFilms(desk.films.map(({ file }) => file), progress);
  tell(index);
}

function progress(on) {
  const { placed, not_visible: hidden } = desk.films[on], all = desk.landmarks.length;
  return ` – ${placed}/${all}${placed + hidden === all ? " ✓" : ""}`;
}

function tell(on) {
  const { placed, not_visible: hidden } = desk.films[on];
  element("count").textContent = `${placed} of ${desk.landmarks.length} placed` + (hidden ? `, ${hidden} can't be seen` : "");
}

// The loupe shows the film at the pointer, otherwise at the selected point.
let pointer = null;
function magnify() {
  const loupe = element("loupe"), [canvas] = loupe.children;
  const at = pointer ?? (selected !== null && placeOf(selected));
  loupe.hidden = !at || !report || !element("magnify").checked || !isOnFilm(at);
  if (loupe.hidden) return;
  const [left, top] = [view.x + at.x * view.scale, view.y + at.y * view.scale];
  loupe.classList.toggle("left", left > stage.clientWidth - 220 && top < 220);
  const pen = canvas.getContext("2d"), side = canvas.width, factor = CLOSER * view.scale;
  pen.clearRect(0, 0, side, side);
  pen.imageSmoothingEnabled = factor < 4;
  pen.setTransform(factor, 0, 0, factor, side / 2 - at.x * factor, side / 2 - at.y * factor);
  pen.drawImage(film, 0, 0);
  pen.setTransform(1, 0, 0, 1, 0, 0);
}

// What mouse and keys do

listen({
  press: () => finishNudge(),
  drag: mark => { pointer = mark.position; arrange(); magnify(); },
  drop: (mark, position) => change([{ number: Number(mark.dataset.number), now: { placed: rounded(position) } }]),
  rest: mark => choose(Number(mark.dataset.number)),
  cancel: () => draw(),
  click: placeNext,
});
stage.addEventListener("pointermove", event => { if (!event.buttons) { pointer = place(event); magnify(); } });
stage.addEventListener("pointerleave", () => { pointer = null; magnify(); });
onLook(() => magnify());

document.addEventListener("keydown", event => {
  const { key, target } = event;
  if (!report || target.matches("select, input[type=range]")) return;
  if ((event.ctrlKey || event.metaKey) && ["z", "y"].includes(key.toLowerCase())) {
    key.toLowerCase() === "y" || event.shiftKey ? redo() : undo();
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || (key === "Enter" && target.closest("button, summary"))) return;
  const to = arrow(event);
  if (to && selected !== null) {
    pointer = null;
    nudge(to, event.shiftKey ? 10 : event.altKey ? .1 : 1);
  } else if (event.altKey) {
    return;
  } else if (key === "Enter") {
    if (event.shiftKey) accept(numbers());
    else if (next !== null && proposalOf(next)) accept([next]);
    else placeNext(middle());
  } else if (key === "Delete" || key === "Backspace") {
    remove();
  } else if (key.toLowerCase() === "x") {
    notVisible();
  } else if (key.toLowerCase() === "n" || key.toLowerCase() === "p") {
    const other = following(next ?? 0, key.toLowerCase() === "n" ? 1 : -1);
    if (other !== null) choose(other);
  } else if (key.toLowerCase() === "i") {
    element("invert").click();
  } else if (!lookByKey(event)) {
    return;
  }
  event.preventDefault();
});
document.addEventListener("keyup", event => {
  finishNudge();
  const mark = event.key === "Tab" && event.target.closest(".mark");
  if (mark) choose(Number(mark.dataset.number));
});
window.addEventListener("blur", finishNudge);
window.addEventListener("pagehide", finishNudge);

element("not-visible").onclick = notVisible;
element("accept").onclick = () => accept([next]);
element("accept-all").onclick = () => accept(numbers());
element("remove").onclick = remove;
element("undo").onclick = undo;
element("redo").onclick = redo;
element("magnify").onchange = magnify;
element("show-second").onchange = () => { if (report) draw(); };

await during("opening", async () => {
  desk = await told("desk");
  listFilms(desk.films.map(({ file }) => file), progress);
  turnPages(() => desk.films.length, show);
  element("kept").textContent = `Every change is saved in ${desk.kept}` + (desk.bundle ? `; points are proposed by ${desk.bundle}` : "");
  element("second").hidden = !desk.second_reader;
  element("second").title = desk.second_reader ?? "";
  element("landmarks").classList.toggle("alone", !desk.second_reader);
  for (const id of ["accept", "accept-all"]) element(id).hidden = !desk.bundle;
});
if (desk) await show(0);
