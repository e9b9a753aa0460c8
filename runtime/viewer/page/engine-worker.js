// Sends the page's requests to a worker in this browser, which runs the engine. No data leave the machine.

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let last = 0;

worker.onmessage = ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  error === undefined ? resolve(result) : reject(new Error(error));
};
worker.onerror = () => {
  for (const { reject } of waiting.values()) reject(new Error("the engine can't be started in this browser"));
  waiting.clear();
};

function call(action, ...words) {
  return new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    worker.postMessage({ id: last, action, words });
  });
}

export async function request(path, { method = "GET", body = "" } = {}) {
  const { status, kind, name, bytes } = await call("answer", method, path, body);
  const headers = { "Content-Type": kind };
  if (name) headers["Content-Disposition"] = `attachment; filename="${name}"`;
  return new Response(bytes, { status, headers });
}

const bytes = async file => new Uint8Array(await file.arrayBuffer());

export const open = {
  bundle: async file => call("open", file.name, await bytes(file)),
  films: async (files, spacing) => {
    for (const file of files) await call("put", file.name, await bytes(file), spacing);
  },
};
