// The worker: Python, NumPy and the library. It answers one request after another; the page stays
// free to draw meanwhile.
"use strict";
importScripts("config.js");

const say = (stage) => postMessage({ stage });

async function load() {
  const runtime = new URL(self.PLAYGROUND.runtime, self.location).href;
  say("Python");
  importScripts(`${runtime}pyodide.js`);
  const pyodide = await loadPyodide({ indexURL: runtime });
  const quiet = { messageCallback() {}, errorCallback() {} };
  say("NumPy");
  await pyodide.loadPackage("numpy", quiet);
  say("retrograd");
  await pyodide.loadPackage(new URL(self.PLAYGROUND.wheel, self.location).href, quiet);
  for (const name of ["recipe.py", "session.py", "lesson.py"]) {
    const found = await fetch(name);
    if (!found.ok) throw new Error(`${name} did not come: ${found.status}`);
    pyodide.FS.writeFile(name, await found.text());
  }
  say("the lesson");
  pyodide.runPython("import sys; sys.path.insert(0, '.')");
  return pyodide.pyimport("lesson");
}

const loaded = load();
loaded.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error.message || error) }),
);

onmessage = async ({ data: { id, request } }) => {
  try {
    const lesson = await loaded;
    const found = lesson.answer(JSON.stringify(request));
    const [text, pixels] = found.toJs();
    found.destroy();
    postMessage({ id, text, pixels }, [pixels.buffer]);
  } catch (error) {
    const text = `Python itself has stopped (${error.message || error}): load the page again.`;
    postMessage({ id, text: JSON.stringify({ error: text }), pixels: new Uint8Array() });
  }
};
