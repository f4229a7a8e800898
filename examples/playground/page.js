// The page: settings, pictures and the program. Python runs in the worker; here requests are sent
// to it and what comes back is drawn. No framework, and nothing to build.
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

// Colors and pictures

function mix(from, to, part) {
  return from.map((value, i) => Math.round(value + (to[i] - value) * part));
}

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const text = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  };
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const part = i / 255;
    const [r, g, b] = part < 0.5
      ? mix(rgb("--zero-area"), rgb("--middle"), 2 * part)
      : mix(rgb("--middle"), rgb("--one-area"), 2 * part - 1);
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  colors = { table };
  for (const name of ["ink", "muted", "edge", "surface", "one", "zero", "up", "down", "still", "accent", "loss", "right"]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
    colors[`${name}-rgb`] = rgb(`--${name}`);
  }
}

function paint(canvas, pixels) {
  const side = run.grid;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = colors.table[pixels[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function fit(canvas) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const { width, height } = canvas.getBoundingClientRect();
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const picturePixels = (k) => run.pixels.subarray(k * run.grid ** 2, (k + 1) * run.grid ** 2);
const unitIndex = (layer, unit) => 1 + run.layers.slice(0, layer).reduce((a, b) => a + b, 0) + unit;
const small = document.createElement("canvas");

function startPlane() {
  return fit($("plane"));
}

function drawPlane() {
  const { pen, width, height } = startPlane();
  const pixels = picturePixels(shown ? unitIndex(...shown) : 0);
  paint(small, pixels);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, width, height);
  if (!shown) drawBorder(pen, picturePixels(unitIndex(run.layers.length, 0)), width / (run.grid - 1));
  drawPoints({ pen, width, height }, run.x, run.y, run.side);
  const last = run.accuracies.at(-1);
  const what = shown
    ? `Values of unit ${shown[1] + 1} of hidden layer ${shown[0] + 1} on the plane`
    : `Decision regions after ${run.epoch} steps${last === undefined ? "" : `: ${(100 * last).toFixed(1)} percent of ${run.x.length} points on their side`}`;
  if (!playing) $("plane").setAttribute("aria-label", what);
  $("picture-title").textContent = shown
    ? `Unit ${shown[1] + 1} of hidden layer ${shown[0] + 1}, on the plane`
    : "What the net says of the plane";
}

// The line on which the net is undecided: marching squares, on the last picture, which is stretched
function drawBorder(pen, pixels, cell) {
  const side = run.grid;
  const middle = 127.5;
  pen.beginPath();
  for (let row = 0; row < side - 1; row++) {
    for (let col = 0; col < side - 1; col++) {
      const i = row * side + col;
      const corners = [pixels[i], pixels[i + 1], pixels[i + side + 1], pixels[i + side]];
      const places = [[0, 0], [1, 0], [1, 1], [0, 1]];
      const cuts = [];
      for (let k = 0; k < 4; k++) {
        const [a, b] = [corners[k], corners[(k + 1) % 4]];
        if ((a > middle) !== (b > middle)) {
          const part = (middle - a) / (b - a);
          const [from, to] = [places[k], places[(k + 1) % 4]];
          cuts.push([col + from[0] + part * (to[0] - from[0]), row + from[1] + part * (to[1] - from[1])]);
        }
      }
      for (let k = 0; k + 1 < cuts.length; k += 2) {
        pen.moveTo(cuts[k][0] * cell, cuts[k][1] * cell);
        pen.lineTo(cuts[k + 1][0] * cell, cuts[k + 1][1] * cell);
      }
    }
  }
  pen.strokeStyle = colors.ink;
  pen.lineWidth = 1.8;
  pen.stroke();
}

function drawPoints({ pen, width, height }, x, y, side) {
  const at = ([u, v]) => [(0.5 + u / side / 2) * width, (0.5 - v / side / 2) * height];
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colors.ink;
  pen.strokeStyle = colors.muted;
  pen.lineWidth = 0.5;
  pen.globalAlpha = 0.6;
  pen.beginPath();
  pen.moveTo(width / 2, 0); pen.lineTo(width / 2, height);
  pen.moveTo(0, height / 2); pen.lineTo(width, height / 2);
  pen.stroke();
  pen.globalAlpha = 1;
  pen.fillText("x2", width / 2 + 4, 12);
  pen.fillText("x1", width - 16, height / 2 - 5);
  const size = Math.max(3, width / 105);
  pen.lineWidth = 1;
  pen.strokeStyle = colors.surface;
  x.forEach((point, i) => {
    const [u, v] = at(point);
    pen.beginPath();
    if (y[i] > 0.5) pen.arc(u, v, size, 0, 7);
    else {
      pen.moveTo(u, v - 1.2 * size); pen.lineTo(u + 1.15 * size, v + size); pen.lineTo(u - 1.15 * size, v + size);
      pen.closePath();
    }
    pen.fillStyle = y[i] > 0.5 ? colors.one : colors.zero;
    pen.fill();
    pen.stroke();
  });
}

// The next number above that a quarter of is short: 0.8 for 0.69, 20 for 13
function roundUp(most) {
  const quarter = Math.max(most, 0.04) / 4;
  const ten = 10 ** Math.floor(Math.log10(quarter));
  return 4 * ten * [1, 2, 2.5, 5, 10].find((k) => k * ten >= quarter * (1 - 1e-9));
}

const shorten = (value) => (value >= 1e4 ? value.toExponential(0) : String(Number(value.toPrecision(3))));

function drawCurves() {
  const { pen, width, height } = fit($("curves"));
  const [left, right, top, bottom] = [34, 34, 8, 20];
  const [w, h] = [width - left - right, height - top - bottom];
  const count = run.losses.length;
  const most = roundUp(count ? run.most : 1);
  pen.font = "11px system-ui, sans-serif";
  pen.lineWidth = 1;
  for (let i = 0; i <= 4; i++) {
    const y = top + (h * i) / 4;
    pen.strokeStyle = colors.edge;
    pen.beginPath(); pen.moveTo(left, y); pen.lineTo(left + w, y); pen.stroke();
    pen.textAlign = "right"; pen.fillStyle = colors.loss;
    pen.fillText(shorten(most * (1 - i / 4)), left - 4, y + 4);
    pen.textAlign = "left"; pen.fillStyle = colors.right;
    pen.fillText((1 - i / 4).toFixed(2), left + w + 5, y + 4);
  }
  pen.fillStyle = colors.muted;
  pen.fillText("step 0", left, height - 4);
  pen.textAlign = "right";
  pen.fillText(String(count), left + w, height - 4);
  const curve = (values, scale, color, dash) => {
    pen.beginPath();
    const every = Math.max(1, count / w);
    for (let k = 0; k < count; k += every) {
      const i = Math.floor(k);
      const x = left + (count > 1 ? (i / (count - 1)) * w : 0);
      const y = top + h * (1 - values[i] / scale);
      if (k) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    }
    pen.setLineDash(dash);
    pen.strokeStyle = color;
    pen.lineWidth = 2;
    pen.stroke();
    pen.setLineDash([]);
  };
  if (count) {
    curve(run.losses, most, colors.loss, []);
    curve(run.accuracies, 1, colors.right, [5, 3]);
  }
  pen.textAlign = "left";
  const middle = left + w * 0.5;
  pen.fillStyle = colors.loss; pen.fillText("— loss", middle - 62, height - 4);
  pen.fillStyle = colors.right; pen.fillText("-- accuracy", middle - 12, height - 4);
  if (!playing) {
    $("curves").setAttribute("aria-label", count
      ? `Curves over ${count} steps: loss from ${run.losses[0].toFixed(4)} to ${run.losses[count - 1].toFixed(4)}, accuracy from ${run.accuracies[0].toFixed(4)} to ${run.accuracies[count - 1].toFixed(4)}`
      : "Curves of loss and accuracy: nothing yet");
  }
}

// The net: units as small pictures, weights as lines

let unitCanvases = [];
let lines = []; // {name, place, path, halo}

function buildNet() {
  const net = $("net");
  for (const child of [...net.children]) if (child.id !== "edges") child.remove();
  const sizes = [2, ...run.layers, 1];
  const width = net.clientWidth || 300;
  const box = Math.max(24, Math.min(46, (0.52 * width) / sizes.length)); // the lines need room, too
  const gap = box + (Math.max(...sizes) > 6 ? 6 : 10);
  const height = Math.max(Math.max(...sizes) * gap, 3 * gap) + 26;
  net.style.height = `${height}px`;
  const x = (layer) => box / 2 + 12 + (layer * (width - box - 24)) / (sizes.length - 1);
  const y = (layer, unit) => 20 + (height - 26) / 2 + (unit - (sizes[layer] - 1) / 2) * gap;
  const put = (element, layer, unit) => {
    Object.assign(element.style, { left: `${x(layer) - box / 2}px`, top: `${y(layer, unit) - box / 2}px`, width: `${box}px`, height: `${box}px` });
    net.append(element);
  };
  unitCanvases = [];
  sizes.forEach((count, layer) => {
    const caption = document.createElement("span");
    caption.className = "caption";
    caption.textContent = layer === 0 ? "input" : layer === sizes.length - 1 ? "output" : `layer ${layer}`;
    caption.style.left = `${x(layer)}px`;
    net.append(caption);
    for (let unit = 0; unit < count; unit++) {
      if (layer === 0) {
        const node = document.createElement("span");
        node.className = "node";
        node.textContent = `x${unit + 1}`;
        put(node, layer, unit);
        continue;
      }
      const hidden = layer < sizes.length - 1;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "unit";
      button.dataset.layer = layer;
      button.setAttribute("aria-label", hidden ? `Unit ${unit + 1} of hidden layer ${layer}: show it large` : "Output: show it large");
      button.title = hidden ? `unit ${unit + 1} of layer ${layer}` : "output p";
      button.onclick = () => {
        shown = hidden && !(shown && shown[0] === layer - 1 && shown[1] === unit) ? [layer - 1, unit] : null;
        draw();
      };
      const canvas = document.createElement("canvas");
      button.append(canvas);
      put(button, layer, unit);
      unitCanvases.push({ canvas, button, layer: hidden ? layer - 1 : -1, unit });
    }
  });
  const svg = $("edges");
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  lines = [];
  const path = (d, kind) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
    element.setAttribute("d", d);
    element.setAttribute("class", kind);
    return element;
  };
  const made = { halo: [], seen: [], hit: [] };
  for (let layer = 1; layer < sizes.length; layer++) {
    for (let to = 0; to < sizes[layer]; to++) {
      for (let from = 0; from < sizes[layer - 1]; from++) {
        const [x0, y0, x1, y1] = [x(layer - 1) + box / 2, y(layer - 1, from), x(layer) - box / 2, y(layer, to)];
        const bend = (x1 - x0) * 0.4;
        const d = `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
        const line = { name: `fc${layer}.weight`, place: [to, from], part: `weight${layer}` };
        line.halo = path(d, "halo");
        line.path = path(d, "seen");
        const hit = path(d, "hit");
        hit.onclick = () => choose({ weight: line.name, place: line.place });
        const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
        title.textContent = `${line.name}[${line.place}]`;
        hit.append(title);
        made.halo.push(line.halo); made.seen.push(line.path); made.hit.push(hit);
        lines.push(line);
      }
    }
  }
  svg.append(...made.halo, ...made.seen, ...made.hit);
}

const valueAt = (nested, place) => place.reduce((value, i) => value[i], nested);

function drawNet() {
  const marked = new Set(run.marked || []);
  const sizesOf = (key) => lines.map((line) => valueAt(run.weights[line.name][key], line.place));
  const values = sizesOf("value");
  const gradients = sizesOf("gradient");
  const largest = Math.max(1e-12, ...values.map(Math.abs));
  const steepest = Math.max(1e-12, ...gradients.map(Math.abs));
  lines.forEach((line, i) => {
    const width = 0.7 + 6 * Math.sqrt(Math.abs(values[i]) / largest) ** 1.3;
    const part = Math.sqrt(Math.abs(gradients[i]) / steepest);
    const toward = gradients[i] > 0 ? colors["up-rgb"] : colors["down-rgb"];
    line.path.style.stroke = `rgb(${mix(colors["still-rgb"], toward, part)})`;
    line.path.style.strokeWidth = width;
    const dashes = values[i] < 0 ? "6 4" : "none";
    if (line.dashes !== dashes) line.path.style.strokeDasharray = line.dashes = dashes;
    const isChosen = chosen && chosen.weight === line.name && String(chosen.place) === String(line.place);
    const halo = isChosen ? "chosen" : marked.has(line.part) ? "marked" : "";
    if (line.haloKind !== halo) line.halo.setAttribute("class", `halo ${line.haloKind = halo}`);
  });
  for (const { canvas, button, layer, unit } of unitCanvases) {
    paint(canvas, picturePixels(layer < 0 ? 0 : unitIndex(layer, unit)));
    const pressed = String(layer < 0 ? !shown : Boolean(shown && shown[0] === layer && shown[1] === unit));
    if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
    const number = button.dataset.layer;
    button.classList.toggle("marked", marked.has(`layer${number}`) || marked.has(`bias${number}`));
  }
  if (!playing) {
    $("edges").setAttribute("aria-label", `The net: 2 inputs, ${run.layers.map((n) => `${n} units`).join(", ") || "no hidden layer"}, 1 output; ${lines.length} weights, the largest ${largest.toPrecision(3)}, the largest gradient ${steepest.toPrecision(3)}. The list below explains each.`);
  }
}

// While it trains the plane and the net take turns, so that no frame has to draw all
function draw(part = "all") {
  if (!run) return;
  const last = run.losses.length - 1;
  $("epoch").textContent = run.epoch;
  $("loss").textContent = last < 0 ? "–" : run.losses[last].toFixed(4);
  $("accuracy").textContent = last < 0 ? "–" : run.accuracies[last].toFixed(4);
  if (part !== "net") {
    drawPlane();
    drawCurves();
  }
  if (part !== "plane") drawNet();
}

// The program

function showProgram() {
  const { rows, sections, source } = run.program;
  const parts = [];
  let list = null;
  rows.forEach((row, i) => {
    if (!i || rows[i - 1].section !== row.section) {
      const title = document.createElement("h3");
      title.textContent = row.section;
      const says = document.createElement("span");
      says.className = "says";
      says.textContent = ` ${sections[row.section] || ""}`;
      title.append(says);
      list = document.createElement("ol");
      parts.push(title, list);
    }
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = `line${row.depth > 1 || row.text.startsWith(" ") ? " deep" : ""}`;
    button.setAttribute("aria-expanded", false);
    const code = document.createElement("code");
    code.textContent = row.text.trim();
    const shape = document.createElement("span");
    shape.className = "shape";
    shape.textContent = row.shape === "()" ? "" : row.shape;
    button.append(code, shape);
    button.onclick = () => {
      if (chosen && chosen.line === i) { forget(); draw(); } else choose({ line: i });
    };
    const detail = document.createElement("div");
    detail.className = "detail";
    detail.hidden = true;
    item.append(button, detail);
    list.append(item);
  });
  $("rows").replaceChildren(...parts);
  $("source").textContent = source;
  showScript(run.script);
  if (chosen && chosen.line >= rows.length) forget();
}

function showScript(text) {
  $("script").replaceChildren(...text.split("\n").flatMap((line) => {
    const span = document.createElement("span");
    span.textContent = line;
    return [span, "\n"];
  }));
}

function showWeights() {
  const options = [new Option("choose …", "")];
  const groups = Object.entries(run.weights).map(([name, { value }]) => {
    const group = document.createElement("optgroup");
    group.label = name;
    value.forEach((row, i) => {
      if (Array.isArray(row)) row.forEach((_, j) => group.append(new Option(`${name}[${i}, ${j}]`, `${name}|${i},${j}`)));
      else group.append(new Option(`${name}[${i}]`, `${name}|${i}`));
    });
    return group;
  });
  $("weight").replaceChildren(...options, ...groups);
  if (chosen && chosen.weight) $("weight").value = `${chosen.weight}|${chosen.place}`;
}

$("weight").onchange = () => {
  const [name, place] = $("weight").value.split("|");
  if (name) choose({ weight: name, place: place.split(",").map(Number) });
  else { forget(); draw(); }
};

function forget() {
  chosen = null;
  if (run) run.marked = [];
  $("weight").value = "";
  $("weight-detail").replaceChildren();
  for (const button of document.querySelectorAll(".line")) button.setAttribute("aria-expanded", false);
  for (const detail of document.querySelectorAll("#rows .detail")) detail.hidden = true;
  for (const line of document.querySelectorAll("#script .marked")) line.classList.remove("marked");
}

async function choose(what) {
  forget();
  chosen = what;
  if (what.weight) $("weight").value = `${what.weight}|${what.place}`;
  await look();
}

async function look() {
  if (!chosen || !run) return;
  const [what, mine] = [chosen, started];
  const request = "line" in what ? { do: "line", number: what.line } : { do: "weight", name: what.weight, place: what.place };
  const found = await ask(request);
  if (what !== chosen || mine !== started) return;
  if (found.error) return fail(found.error);
  $("weight-detail").setAttribute("aria-live", playing ? "off" : "polite");
  if ("line" in what) showLine(found);
  else showWeight(found);
  draw();
}

function entries(pairs) {
  const list = document.createElement("dl");
  for (const [term, text, kind] of pairs) {
    if (!text) continue;
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    const inside = document.createElement(kind === "pre" ? "pre" : kind === "code" ? "code" : "span");
    inside.textContent = text;
    if (kind === "pre") { inside.tabIndex = 0; inside.setAttribute("aria-label", term); }
    dd.append(inside);
    list.append(dt, dd);
  }
  return list;
}

// Fill anew, and keep what was scrolled to: it is filled again and again while the net trains
function refill(place, ...parts) {
  const scrolled = [...place.querySelectorAll("pre")].map((pre) => [pre.scrollTop, pre.scrollLeft]);
  place.replaceChildren(...parts);
  place.querySelectorAll("pre").forEach((pre, i) => {
    if (scrolled[i]) [pre.scrollTop, pre.scrollLeft] = scrolled[i];
  });
}

function showLine(found) {
  run.marked = found.place.parts;
  document.querySelectorAll("#script > span").forEach((span, i) => span.classList.toggle("marked", i + 1 === found.origin));
  const pairs = [];
  for (const value of found.values) {
    pairs.push(["Shape", `${value.name} is ${value.shape === "()" ? "a number" : value.shape}`]);
    if (value.before) pairs.push(["Before", value.before, "pre"]);
    pairs.push([value.before ? "After" : "Value", value.value, "pre"]);
  }
  if (found.left) pairs.push(["", `and ${found.left} more`]);
  pairs.push(
    ["Rule", found.rule, "code"],
    ["In the net", found.place.words.join("; ")],
    ["Your line", found.origin ? `${found.origin}: ${found.origin_text}` : "", "code"],
  );
  const button = document.querySelectorAll(".line")[found.number];
  button.setAttribute("aria-expanded", true);
  const detail = button.nextElementSibling;
  refill(detail, entries(pairs));
  detail.hidden = false;
}

// A line of text that goes on, where it is too long, under the words after its first ones
function hang(line) {
  const span = document.createElement("span");
  const depth = line.match(/^ *(\S+ {2,})?/)[0].length;
  span.className = "hanging";
  span.style.setProperty("--depth", `${depth}ch`);
  span.textContent = `${line}\n`;
  return span;
}

function showWeight(found) {
  const number = (value) => (value === 0 ? "0" : Math.abs(value) >= 1e-3 ? value.toPrecision(4) : value.toExponential(3));
  run.marked = [];
  const direction = found.gradient > 0 ? "lower" : "raise";
  const head = document.createElement("h3");
  head.textContent = `Where the gradient of ${found.name} comes from`;
  const text = document.createElement("pre");
  text.append(...found.text.split("\n").map(hang));
  text.tabIndex = 0;
  text.setAttribute("aria-label", "What rg.explain says");
  const title = document.createElement("h3");
  title.textContent = "rg.explain(loss), from the loss back to the weights";
  refill($("weight-detail"), head, entries([
    ["Weight", number(found.value), "code"],
    ["Gradient", `${number(found.gradient)}${found.gradient ? `: the step will ${direction} the weight` : ": nothing pulls at this weight"}`, "code"],
    ["How", found.said, "code"],
    ["Try it", `moved by ${found.nudge}, the loss should change by ${number(found.nudge)} × ${number(found.gradient)} = ${number(found.expected)}; it changes by ${number(found.changed)}`, "code"],
  ]), title, text);
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
