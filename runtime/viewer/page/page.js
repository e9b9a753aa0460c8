// What all pages share: requests to the engine, what is said meanwhile, and parts of the document.

import { request } from "./engine.js";

const SVG = "http://www.w3.org/2000/svg";

export const element = id => document.getElementById(id);

export async function ask(path, options) {
  const answer = await request(path, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

export async function told(path, options) { return (await ask(path, options)).json(); }

// Runs `work` and shows `what` meanwhile, or the error. Returns whether it succeeded.
export async function during(what, work) {
  say(`${what} …`);
  element("stage").classList.add("busy");
  try {
    await work();
    say("");
    return true;
  } catch (error) {
    say(error.message);
    return false;
  } finally {
    element("stage").classList.remove("busy");
  }
}

export function say(text) { element("status").textContent = text; }

// A part of a picture.
export function make(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function row(className, ...cells) {
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

export function button(text, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.onclick = work;
  return made;
}

// A menu of films by the names of their files; `mark` may add something to each.
export function listFilms(files, mark = () => "") {
  const menu = element("films"), chosen = menu.value;
  menu.replaceChildren(...files.map((file, index) => {
    const option = new Option(file.split(/[\\/]/).pop() + mark(index), index);
    option.title = file;
    return option;
  }));
  menu.value = chosen;
}

// Shows in the menu and by its buttons which of `count` films is on the page.
export function noteFilm(index, count) {
  element("films").value = index;
  element("before").disabled = index === 0;
  element("after").disabled = index === count - 1;
}

// Buttons and keys that go to the previous and to the next film of `count()`.
export function turnPages(count, show) {
  const menu = element("films");
  const turn = by => {
    const next = Number(menu.value) + by;
    if (next >= 0 && next < count()) show(next);
  };
  menu.onchange = () => show(Number(menu.value));
  element("before").onclick = () => turn(-1);
  element("after").onclick = () => turn(1);
  document.addEventListener("keydown", event => {
    const by = { PageUp: -1, PageDown: 1 }[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    turn(by);
  });
}

// Where millimetres come from.
export function spacingText(spacing) {
  if (!spacing) return "No pixel spacing is stated, so there are no mm.";
  const [x, y] = spacing.mm_per_px;
  return `${x} x ${y} mm per px by ${spacing.source}`;
}
