// The page: settings, runs and buttons. Python runs in the worker; here requests are sent to it.
// What comes back pictures.js draws and telling.js writes down. No framework, and nothing to build.
"use strict";

const $ = (id) => document.getElementById(id);
const RECORD = {
  data: "quadrants", layers: [4], activation: "relu", loss: "bce", optimizer: "sgd", rate: 0.1,
  momentum: 0, init: "small", seed: 42, points: [],
};
const BETTER = { ...RECORD, layers: [8], momentum: 0.9, init: "kaiming" };
const RECIPE_STEPS = 1000;
const MOST_STEPS = 200000; // that an address may ask for
const CHOICES = { activation: "activation", init: "init", loss: "loss-kind", optimizer: "optimizer" };
const NUMBERS = ["rate", "momentum", "seed"];

// The worker: each request is a promise

const worker = new Worker("worker.js");
const waiting = new Map();
let asked = 0;

function ask(request) {
  return new Promise((resolve) => {
    waiting.set(++asked, resolve);
    worker.postMessage({ id: asked, request });
  });
}

worker.onmessage = ({ data }) => {
  if (data.stage) {
    $("loading").value += 1;
    return say(`Loading ${data.stage} … (about 17 MB at the first visit)`);
  }
  if (data.failed) return fail(`The page could not load: ${data.failed}. Is there a connection? Loading it again may help.`);
  if (data.ready) return begin();
  const answer = JSON.parse(data.text);
  answer.pixels = data.pixels;
  waiting.get(data.id)(answer);
  waiting.delete(data.id);
};
worker.onerror = (event) => fail(`The page could not load: ${event.message || "the worker did not start"}.`);

// What is known

let settings = { ...RECORD };
let run = null; // its layers, x, y, side, the program, losses, and the net as it was shown last
let playing = false;
let stopAt = 0; // the step at which to pause, 0 for none
let shown = null; // the unit in the large picture: [layer, unit]
let chosen = null; // what is looked at: {line: n} or {weight: name, place: [..]}
let started = 0; // counts runs, so that answers to an older one are dropped
let colors = {};

const say = (text) => { $("status").textContent = text; };

function fail(text) {
  $("loading").hidden = true;
  $("error").textContent = text;
  $("error").hidden = false;
  playing = false;
  showPlaying();
}

function clearError() {
  $("error").hidden = true;
  $("error").textContent = "";
}

// The address holds the whole state

function toAddress(steps) {
  const s = settings;
  const query = new URLSearchParams({
    data: s.data, layers: s.layers.join("-"), activation: s.activation, loss: s.loss,
    optimizer: s.optimizer, rate: s.rate, momentum: s.momentum, init: s.init, seed: s.seed,
  });
  if (s.data === "own") query.set("points", s.points.map((point) => point.join(",")).join(";"));
  if (steps) query.set("steps", steps);
  return `#${query}`;
}

function fromAddress() {
  const query = new URLSearchParams(location.hash.slice(1));
  const found = { ...RECORD, points: [] };
  for (const key of ["data", "activation", "loss", "optimizer", "init"]) {
    if (query.has(key)) found[key] = query.get(key);
  }
  for (const key of NUMBERS) if (query.has(key)) found[key] = Number(query.get(key));
  if (query.has("layers")) found.layers = query.get("layers").split("-").filter(Boolean).map(Number);
  if (query.get("points")) found.points = query.get("points").split(";").map((text) => text.split(",").map(Number));
  const steps = Math.min(MOST_STEPS, Math.max(0, Math.floor(Number(query.get("steps")) || 0)));
  return [found, steps];
}

const keepAddress = () => history.replaceState(null, "", toAddress(run ? run.epoch : 0));

// Runs

async function begin() {
  const [found, steps] = fromAddress();
  settings = found;
  showSettings();
  $("loading").hidden = true;
  for (const button of document.querySelectorAll("#bar button, #more button")) button.disabled = false;
  const done = await restart();
  if (done === null) return; // another run was begun meanwhile
  if (!done && location.hash && settings.data !== "own") {
    settings = { ...RECORD };
    const said = $("error").textContent;
    showSettings();
    await restart();
    fail(`The address does not hold a run: ${said} Here is the record’s net instead.`);
    return;
  }
  if (done && steps) await trainTo(steps);
}

// Begin a run: true, or false where the settings make none, or null where another was begun first
async function restart() {
  const mine = ++started;
  playing = false;
  stopAt = 0;
  clearError();
  showPlaying();
  say("Starting …");
  const { layers } = settings;
  const answer = await ask({ do: "start", settings });
  if (mine !== started) return null;
  if (answer.error) {
    if (settings.data === "own") {
      run = null;
      showNothing();
      say(answer.error);
    } else fail(answer.error);
    return false;
  }
  run = { ...answer, layers, losses: [], accuracies: [], most: 0 };
  if (shown && !(shown[0] < layers.length && shown[1] < layers[shown[0]])) shown = null;
  $("log").textContent = "Nothing yet: press play.";
  showProgram();
  buildNet();
  showWeights();
  draw();
  keepAddress();
  await look();
  say("Ready.");
  return true;
}

function take(answer) {
  run.losses.push(...answer.losses);
  run.most = Math.max(run.most, ...answer.losses);
  run.accuracies.push(...answer.accuracies);
  Object.assign(run, { epoch: answer.epoch, weights: answer.weights, ranges: answer.ranges, pixels: answer.pixels });
  const text = answer.lines.join("\n");
  if ($("log").textContent !== text) {
    $("log").textContent = text;
    $("log").scrollTop = $("log").scrollHeight;
  }
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function train(steps, seconds) {
  const mine = started;
  const answer = await ask({ do: "train", steps, seconds });
  if (mine !== started) return false;
  if (answer.losses) take(answer); // of a run that diverges, too: how it came to that
  if (!answer.error) return true;
  draw();
  fail(answer.error);
  await look();
  say("Stopped. Reset begins anew; another setting does, too.");
  return false;
}

async function play() {
  if (!run || playing) return;
  playing = true;
  clearError();
  showPlaying();
  say("Training …");
  let lookedAt = performance.now();
  let drawn = 0;
  const mine = started;
  while (playing && mine === started) {
    const began = performance.now();
    const speed = Number($("speed").value);
    let steps = speed ? Math.max(1, Math.round(speed / 25)) : 100000;
    if (stopAt) steps = Math.min(steps, stopAt - run.epoch);
    if (!(await train(steps, 0.05))) break;
    await frame();
    draw(++drawn % 2 ? "plane" : "net");
    if (chosen && performance.now() - lookedAt > 700) {
      await look();
      lookedAt = performance.now();
    }
    if (stopAt && run.epoch >= stopAt) break;
    const rest = speed ? (1000 * steps) / speed - (performance.now() - began) : 0;
    if (rest > 0) await sleep(rest);
  }
  if (mine !== started) return;
  const failed = !$("error").hidden;
  pause();
  if (!failed) await settle();
}

function pause() {
  playing = false;
  stopAt = 0;
  showPlaying();
}

async function settle() {
  keepAddress();
  draw();
  tell();
  await look();
}

function tell() {
  const last = run.losses.length - 1;
  if (last < 0) return say("Ready.");
  say(`${run.epoch} steps: loss ${run.losses[last].toFixed(4)}, accuracy ${run.accuracies[last].toFixed(4)}.`);
}

async function trainTo(steps) {
  stopAt = steps;
  const speed = $("speed").value;
  $("speed").value = "0";
  await play();
  $("speed").value = speed;
}

async function runRecipe(recipe) {
  settings = { ...recipe };
  showSettings();
  if (await restart()) await trainTo(RECIPE_STEPS);
}

function showPlaying() {
  $("play").textContent = playing ? "Pause" : "Play";
}

// Settings

function showSettings() {
  const data = document.querySelector(`[name=data][value="${CSS.escape(settings.data)}"]`);
  if (data) data.checked = true;
  for (const [key, id] of Object.entries(CHOICES)) $(id).value = settings[key];
  for (const key of NUMBERS) $(key).value = settings[key];
  $("momentum").disabled = settings.optimizer === "adam";
  const count = settings.layers.length;
  $("layers-count").textContent = `${count} hidden layer${count === 1 ? "" : "s"}`;
  $("layer-less").disabled = count === 0;
  $("layer-more").disabled = count >= 4;
  $("units").replaceChildren(...settings.layers.map((units, i) => {
    const label = document.createElement("label");
    label.append(`units ${i + 1}`);
    const input = Object.assign(document.createElement("input"), { type: "number", min: 1, max: 8, step: 1, value: units });
    input.setAttribute("aria-label", `Units in hidden layer ${i + 1}`);
    input.onchange = () => change({ layers: settings.layers.map((n, j) => (j === i ? Number(input.value) : n)) });
    label.append(input);
    return label;
  }));
  const chosenText = (id) => $(id).selectedOptions[0]?.text || "";
  $("settings-now").textContent = [
    data ? data.nextElementSibling.textContent : "",
    settings.layers.length ? `${settings.layers.join("-")} ${chosenText("activation")}` : "no hidden layer",
    chosenText("loss-kind"), `${chosenText("optimizer")} ${settings.rate}`,
  ].join(", ");
  $("own").hidden = settings.data !== "own";
  $("plane").classList.toggle("drawing", settings.data === "own");
}

function change(what) {
  settings = { ...settings, ...what };
  chosen = chosen && chosen.weight ? null : chosen;
  if (!chosen) forget();
  showSettings();
  return restart();
}

for (const input of document.querySelectorAll("[name=data]")) input.onchange = () => change({ data: input.value });
for (const [key, id] of Object.entries(CHOICES)) $(id).onchange = () => change({ [key]: $(id).value });
for (const key of NUMBERS) {
  $(key).onchange = () => {
    if ($(key).value === "" || !$(key).validity.valid && key === "seed") {
      fail(`${key === "seed" ? "The seed must be a whole number from 0 to 4294967295" : `The ${key} must be a number`}.`);
      return;
    }
    change({ [key]: Number($(key).value) });
  };
}
$("layer-less").onclick = () => change({ layers: settings.layers.slice(0, -1) });
$("layer-more").onclick = () => change({ layers: [...settings.layers, settings.layers.at(-1) || 4] });

// Points of one's own

function addPoint(x1, x2) {
  if (!Number.isFinite(x1) || !Number.isFinite(x2)) return fail("A point needs two numbers, x1 and x2.");
  const side = 3;
  const inside = (v) => Math.round(100 * Math.max(-side, Math.min(side, v))) / 100;
  const kind = Number(document.querySelector("[name=class]:checked").value);
  change({ points: [...settings.points, [inside(x1), inside(x2), kind]] });
}

$("own-add").onclick = () => addPoint($("own-x1").valueAsNumber, $("own-x2").valueAsNumber);
$("own-clear").onclick = () => change({ points: [] });
$("plane").onclick = (event) => {
  if (settings.data !== "own") return;
  const box = $("plane").getBoundingClientRect();
  addPoint(6 * ((event.clientX - box.left) / box.width - 0.5), -6 * ((event.clientY - box.top) / box.height - 0.5));
};

// Of points that make no run yet only they are shown
function showNothing() {
  forget();
  $("edges").replaceChildren();
  for (const child of [...$("net").children]) if (child.id !== "edges") child.remove();
  for (const id of ["rows", "weight", "script", "source"]) $(id).replaceChildren();
  for (const id of ["loss", "accuracy"]) $(id).textContent = "–";
  $("epoch").textContent = 0;
  $("log").textContent = "Nothing yet: set points of both classes.";
  $("picture-title").textContent = "Your own points";
  fit($("curves"));
  drawPoints(startPlane(), settings.points.map((p) => p.slice(0, 2)), settings.points.map((p) => p[2]), 3);
  $("plane").setAttribute("aria-label", `${settings.points.length} points of your own, and no net yet`);
  $("curves").setAttribute("aria-label", "Curves of loss and accuracy: nothing yet");
}

// Buttons

$("play").onclick = async () => {
  if (playing) return pause();
  if (!run) return fail("Draw at least one point of each class first.");
  stopAt = 0;
  await play();
};
$("step").onclick = async () => {
  if (playing) pause();
  if (!run) return fail("Draw at least one point of each class first.");
  clearError();
  if (await train(1, 10)) await settle();
};
$("reset").onclick = () => restart();
$("record").onclick = () => runRecipe(RECORD);
$("better").onclick = () => runRecipe(BETTER);

$("weight").onchange = () => {
  const [name, place] = $("weight").value.split("|");
  if (name) choose({ weight: name, place: place.split(",").map(Number) });
  else { forget(); draw(); }
};

async function toClipboard(text, done, otherwise) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    otherwise();
  }
}

$("share").onclick = async () => {
  if (playing) pause();
  keepAddress();
  await toClipboard(location.href, "The address is copied: it holds the settings and the number of steps.",
    () => say("The address above holds the settings and the number of steps: copy it from there."));
};

$("copy").onclick = async () => {
  if (!run) return fail("Draw at least one point of each class first.");
  if (playing) pause();
  const { script } = await ask({ do: "script", steps: run.epoch || RECIPE_STEPS });
  run.script = script;
  showScript(script);
  await toClipboard(script, `The script is copied: run it with Python for the same ${run.epoch || RECIPE_STEPS} steps.`, () => {
    const details = $("script").closest("details");
    details.open = true;
    const range = document.createRange();
    range.selectNodeContents($("script"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    $("script").focus();
    say("The script is selected: copy it with Ctrl-C or from the menu.");
  });
};

// Light and dark

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let theme = "";
try { theme = localStorage.getItem("theme") || ""; } catch { /* a page without storage */ }

function showTheme() {
  const dark = theme ? theme === "dark" : prefersDark.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", `Change to ${dark ? "light" : "dark"} colors`);
  readColors();
  draw();
}

$("theme").onclick = () => {
  theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", theme); } catch { /* likewise */ }
  showTheme();
};
prefersDark.onchange = showTheme;

// the address is taken: the link moves the focus by itself
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  $("program").focus();
};

const isNarrow = matchMedia("(max-width: 800px)");
const fold = () => { $("settings").open = !isNarrow.matches; };
isNarrow.onchange = fold;

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  if (run) { buildNet(); draw(); }
});
addEventListener("hashchange", async () => {
  if (location.hash && location.hash !== toAddress(run ? run.epoch : 0)) await begin();
});

fold();
readColors();
showSettings();
showTheme();
