// The film on the screen: zoom, movement, grey values, marks and their labels, and what the mouse does. Coordinates are film px from
// the film's top-left corner; `view` maps them to the screen.

import { ask, element, make } from "./page.js";

const ZOOM = 1.25;
const [LEAST_SCALE, MOST_SCALE] = [.02, 40];
// Screen px between a mark and its label, and the size of the label's letters.
const [GAP, LETTERS] = [11, 12];
// Screen px that the mouse moves at a click.
const STILL = 2;

export const stage = element("stage"), film = element("film"), marks = element("marks");
const sheet = element("sheet");

// Of the film, px.
let size = { width: 1, height: 1 };
export let view = { x: 0, y: 0, scale: 1 };
// The size of the stage for which `view` was made.
let frame = [stage.clientWidth, stage.clientHeight];
// Whether `view` shows the whole film.
let isWhole = true;
// Called whenever the view changes.
let whenLooking = () => {};
export function onLook(work) { whenLooking = work; }

export async function showPixels(path) {
  const image = await ask(path);
  URL.revokeObjectURL(film.src);
  film.src = URL.createObjectURL(await image.blob());
  await film.decode();
}

// The size of the film that is shown from now on, as a whole.
export function show(filmSize) {
  size = filmSize;
  marks.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  fit();
}

// Looking

export function fit() {
  const scale = Math.min(stage.clientWidth / size.width, stage.clientHeight / size.height);
  look({ scale, x: (stage.clientWidth - size.width * scale) / 2, y: (stage.clientHeight - size.height * scale) / 2 });
  isWhole = true;
}

export function look(next) {
  const scaled = next.scale !== view.scale;
  view = next;
  isWhole = false;
  frame = [stage.clientWidth, stage.clientHeight];
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  // The width of lines that have the same width at every zoom.
  marks.style.setProperty("--px", `${1 / view.scale}px`);
  if (scaled) arrange();
  whenLooking();
}

// Zooms so that the film's point at (x, y) of the stage stays in place.
export function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, LEAST_SCALE), MOST_SCALE);
  const by = scale / view.scale;
  look({ scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by });
}

// Moves the film if a position is not on the screen.
export function bringIntoView({ x, y }) {
  const [left, top] = [view.x + x * view.scale, view.y + y * view.scale];
  const { clientWidth: width, clientHeight: height } = stage;
  if (left >= 0 && left < width && top >= 0 && top < height) return;
  look({ ...view, x: width / 2 - x * view.scale, y: height / 2 - y * view.scale });
}

// A window of another size shows the whole film, or has the same place of it in the middle.
new ResizeObserver(() => {
  const { clientWidth: width, clientHeight: height } = stage;
  if (width === 0 || height === 0) return;
  if (isWhole) fit();
  else look({ ...view, x: view.x + (width - frame[0]) / 2, y: view.y + (height - frame[1]) / 2 });
}).observe(stage);

function onStage(event) {
  const corner = stage.getBoundingClientRect();
  return { x: event.clientX - corner.left, y: event.clientY - corner.top };
}

// The place on the film, which may be beside it.
export function place(event) {
  const { x, y } = onStage(event);
  return { x: (x - view.x) / view.scale, y: (y - view.y) / view.scale };
}

// The place on the film in the middle of the stage.
export function middle() {
  return within((stage.clientWidth / 2 - view.x) / view.scale, (stage.clientHeight / 2 - view.y) / view.scale);
}

export function isOnFilm({ x, y }) { return x >= 0 && y >= 0 && x < size.width && y < size.height; }

// The nearest place on the film.
export function within(x, y) {
  const clamp = (value, end) => Math.min(Math.max(value, 0), end - .01);
  return { x: clamp(x, size.width), y: clamp(y, size.height) };
}

// Grey values

function grey() {
  const level = Number(element("level").value), width = Number(element("width").value);
  const sign = element("invert").checked ? -1 : 1;
  for (const one of element("window").querySelectorAll("feComponentTransfer > *")) {
    one.setAttribute("slope", sign * 255 / width);
    one.setAttribute("intercept", .5 - sign * level / width);
  }
}

// Marks

// A line on the film that is visible on bone and on air.
export function line(className, points) {
  const at = points.map(({ x, y }) => `${x},${y}`).join(" ");
  return make("g", { class: `stroke ${className}` }, ...["halo", "core"].map(part => make("polyline", { class: part, points: at })));
}

// Puts a mark at a position. What is in its group `fixed` has the same size at every zoom.
export function put(mark, { x, y }) {
  mark.setAttribute("transform", `translate(${x} ${y})`);
  mark.position = { x, y };
}

// A mark's label, for its group `fixed`.
export function label(text) {
  return make("g", { class: "label" }, make("line"), make("text", { y: 4 }, text));
}

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();
function widthOf(text) {
  pen.font = `${LETTERS}px ${getComputedStyle(document.body).fontFamily}`;
  if (!widths.has(text)) widths.set(text, pen.measureText(text).width);
  return widths.get(text);
}

// Places for a label of this width around its mark, the best first: left and top of its box, from the mark.
function* placesAround(width) {
  for (let gap = GAP; gap < 12 * GAP; gap += GAP) {
    const [left, middle, up, down] = [-gap - width, -width / 2, -gap - 3, gap - 3];
    yield* [[gap, -8], [left, -8], [gap, up], [gap, down], [left, up], [left, down], [middle, up - 6], [middle, down + 2]];
  }
}

const overlap = (one, other) =>
  one.x < other.x + other.width && other.x < one.x + one.width && one.y < other.y + other.height && other.y < one.y + one.height;

// Gives all marks their size on the screen, and each label a place where it covers no other label and no mark.
export function arrange() {
  const { scale } = view;
  const all = [...marks.querySelectorAll(".mark")].filter(mark => mark.position);
  for (const fixed of marks.querySelectorAll(".fixed")) fixed.setAttribute("transform", `scale(${1 / scale})`);
  const edge = { width: size.width * scale, height: size.height * scale };
  const at = mark => ({ x: mark.position.x * scale, y: mark.position.y * scale });
  const taken = all.map(mark => ({ x: at(mark).x - 6, y: at(mark).y - 6, width: 12, height: 12 }));
  for (const mark of all) {
    const name = mark.querySelector(".label");
    if (!name) continue;
    const text = name.querySelector("text"), line = name.querySelector("line");
    const width = widthOf(text.textContent) + 4, { x, y } = at(mark);
    const box = ([left, top]) => ({ x: x + left, y: y + top, width, height: LETTERS + 4 });
    const isFree = place => {
      const own = box(place);
      const inside = own.x >= 0 && own.y >= 0 && own.x + width <= edge.width && own.y + own.height <= edge.height;
      return inside && !taken.some(other => overlap(own, other));
    };
    const places = [...placesAround(width)];
    const [left, top] = places.find(isFree) ?? places[0];
    taken.push(box([left, top]));
    text.setAttribute("x", left + 2);
    text.setAttribute("y", top + 12);
    // A label that is far away shows whose it is.
    const [toX, toY] = [Math.min(Math.max(0, left), left + width), Math.min(Math.max(0, top), top + LETTERS + 4)];
    const isFar = Math.hypot(toX, toY) > 1.6 * GAP;
    for (const [key, value] of Object.entries({ x1: 0, y1: 0, x2: isFar ? toX : 0, y2: isFar ? toY : 0 })) line.setAttribute(key, value);
  }
}

// What mouse and keys do

// The button goes down on a mark (`press`), which is then moved (`drag`) and left somewhere (`drop`), where it was (`rest`), or
// not at all (`cancel`); or it goes down and up beside all marks (`click`). If `sketch` returns true for the place where it goes down
// beside all marks, it is called again with that place and each place to which the mouse moves.
const nothing = () => {};
export function listen({ press = nothing, drag = nothing, drop, rest = nothing, cancel, click = nothing, sketch = nothing }) {
  stage.addEventListener("pointerdown", event => {
    event.preventDefault();
    const mark = event.button === 0 && event.target.closest(".mark");
    const [x, y, start] = [event.clientX, event.clientY, view];
    const [level, width] = [Number(element("level").value), Number(element("width").value)];
    const isGrey = event.button === 2 || event.shiftKey;
    let moved = false;
    const nearest = event => { const { x, y } = place(event); return within(x, y); };
    const begin = nearest(event), isSketch = !mark && !isGrey && sketch(begin);
    const move = now => {
      moved ||= Math.hypot(now.clientX - x, now.clientY - y) > STILL;
      if (!moved) return;
      if (mark) {
        put(mark, nearest(now));
        drag(mark);
      } else if (isSketch) {
        sketch(begin, nearest(now));
      } else if (isGrey) {
        element("level").value = level + (now.clientY - y) / 2;
        element("width").value = width + (now.clientX - x) / 2;
        grey();
      } else {
        look({ ...start, x: start.x + now.clientX - x, y: start.y + now.clientY - y });
      }
    };
    const end = last => {
      for (const kind of ["pointerup", "pointercancel"]) stage.removeEventListener(kind, end);
      stage.removeEventListener("pointermove", move);
      const isDone = last.type === "pointerup";
      if (mark && moved) isDone ? drop(mark, nearest(last)) : cancel(mark);
      else if (mark && isDone) rest(mark);
      else if (!moved && isDone && event.button === 0 && !isGrey) click(place(last));
    };
    if (mark) press(mark);
    (mark || stage).focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    stage.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, end);
  });
}

stage.addEventListener("contextmenu", event => event.preventDefault());
stage.addEventListener("wheel", event => {
  event.preventDefault();
  const { x, y } = onStage(event);
  zoom(ZOOM ** (-event.deltaY / 100), x, y);
}, { passive: false });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ZOOMS = { "+": () => zoom(ZOOM), "=": () => zoom(ZOOM), "-": () => zoom(1 / ZOOM), 0: fit };

// The direction of an arrow key.
export function arrow(event) { return ARROWS[event.key]; }

// Keys that only change how the film is shown. Returns whether the key is one of them.
export function lookByKey(event) {
  const to = ARROWS[event.key], work = ZOOMS[event.key];
  if (to) look({ ...view, x: view.x - 40 * to[0], y: view.y - 40 * to[1] });
  else if (work) work();
  return Boolean(to || work);
}

element("closer").onclick = () => zoom(ZOOM);
element("farther").onclick = () => zoom(1 / ZOOM);
element("fit").onclick = fit;
element("view").oninput = grey;
element("view").onreset = () => setTimeout(() => { grey(); stage.classList.remove("unnamed"); });
element("names").onchange = event => stage.classList.toggle("unnamed", !event.target.checked);
grey();
