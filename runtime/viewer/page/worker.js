// Runs the engine in a worker, so that the page stays responsive. `cargo xtask wasm` makes `onemark.js`.

import start, { Viewer } from "./onemark.js";

const ready = start();
let viewer;

const actions = {
  open: (name, bundle) => {
    viewer?.free();
    viewer = undefined;
    viewer = new Viewer(name, bundle);
  },
  put: (name, film, spacing) => viewer.put(name, film, spacing),
  answer: (method, path, body) => {
    const answer = viewer.answer(method, path, body);
    const { status, kind, name, bytes } = answer;
    answer.free();
    return { status, kind, name, bytes };
  },
};

onmessage = async ({ data: { id, action, words } }) => {
  try {
    await ready;
    postMessage({ id, result: actions[action](...words) });
  } catch (error) {
    postMessage({ id, error: error.message ?? String(error) });
  }
};
