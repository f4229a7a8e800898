// Pictures of a run: the plane, the curves, the net. What they show is page.js's `run`.
"use strict";

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
