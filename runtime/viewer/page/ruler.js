// The ruler: a line on the film, whose length in mm a person states. Its ends are marks: the mouse and keys move them.

import { element, make } from "./page.js";
import { arrange, line, marks, middle, put, stage, view, within } from "./stage.js";

// Share of the stage's width that a new ruler takes.
const WIDTH = .4;

// Places on the film, px; null while the ruler is put away.
let ends = null;
export const isOut = () => ends !== null;

// The ruler as parts of the picture.
export function parts() {
  if (!ends) return [];
  const [from, to] = ends;
  element("px").textContent = `${Math.hypot(to.x - from.x, to.y - from.y).toFixed(0)} px`;
  return [line("ruler", ends), ...ends.map((place, end) => {
    const mark = make("g", { class: "mark ruler", tabindex: 0, role: "button", "data-end": end, "aria-label": `Ruler, end ${end + 1}` },
      make("g", { class: "fixed" }, make("circle", { r: 8 }), make("path", { d: "M-4 0H4M0-4V4" })));
    put(mark, place);
    return mark;
  })];
}

function redraw() {
  const focused = document.activeElement?.dataset?.end;
  marks.querySelectorAll(".ruler").forEach(part => part.remove());
  marks.append(...parts());
  arrange();
  if (focused) marks.querySelector(`[data-end="${focused}"]`)?.focus();
}

export function stretch(from, to) {
  ends = [from, to];
  redraw();
}

// Moves one end. The mark under the mouse stays; the line follows it.
export function drag(mark, place) {
  ends[mark.dataset.end] = place;
  marks.querySelector(".stroke.ruler").remove();
  marks.prepend(parts()[0]);
}

// Moves the end of this mark by a key.
export function nudge(mark, [x, y], step) {
  const end = ends[mark.dataset.end];
  ends[mark.dataset.end] = within(end.x + x * step, end.y + y * step);
  redraw();
}

export function toggle(isWanted = !ends) {
  const { x, y } = middle(), half = WIDTH / 2 * stage.clientWidth / view.scale;
  ends = isWanted ? [within(x - half, y), within(x + half, y)] : null;
  element("rule").hidden = !isWanted;
  element("ruler").setAttribute("aria-pressed", isWanted);
  stage.classList.toggle("ruling", isWanted);
  redraw();
}

// What is sent to the engine; a decimal comma is a point.
export function stated() {
  const [from, to] = ends;
  return JSON.stringify({ from, to, mm: Number(element("mm").value.replace(",", ".")) });
}
