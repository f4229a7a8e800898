// What is told of a run in words: the derived program line by line, and each weight.
"use strict";

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
  if (found.error) { // of a run that has diverged it is said already
    if ($("error").hidden) fail(found.error);
    return;
  }
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
  const depth = line.match(/^ *(?:\S+(?: \S+)? {2,})?/)[0].length;
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
