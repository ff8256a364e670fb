"use strict";
// Elements and pictures. Text only ever goes in as text.

const $ = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function shape(name, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function picture(width, height, label) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

const count = (number) => Math.round(number).toLocaleString("en-US");

function rate(number) {
  if (number >= 100) return count(number);
  return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) { number /= 1024; unit += 1; }
  return `${unit === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

function millis(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 10000) return `${(number / 1000).toFixed(1)} s`;
  return number >= 10 ? `${count(number)} ms` : `${number.toFixed(1)} ms`;
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[first];
  const whole = Math.floor(seconds / size);
  const next = units[first + 1];
  if (!next) return `${whole} ${name}`;
  const rest = Math.floor((seconds - whole * size) / next[1]);
  return rest ? `${whole} ${name} ${rest} ${next[0]}` : `${whole} ${name}`;
}

const clock = (time) => (time ? new Date(time).toISOString().slice(11, 19) : "–");
const moment = (time) => (time ? new Date(time).toISOString().slice(0, 19).replace("T", " ") : "–");

function price(number) {
  const digits = number >= 1000 ? 0 : number >= 1 ? 2 : 8;
  return number.toLocaleString("en-US", { maximumFractionDigits: digits });
}

// A small chart of rates, minute by minute.
function spark(values, label) {
  const width = 240, height = 44;
  const node = picture(width, height, label);
  node.setAttribute("class", "spark");
  node.setAttribute("preserveAspectRatio", "none");
  node.append(shape("line", { x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5, class: "grid" }));
  if (values.length < 2) return make("p", { class: "spark early" }, "The chart begins with the second minute.");
  const top = Math.max(...values, 1e-9);
  const x = (index) => (index * width) / (values.length - 1);
  const y = (value) => height - 1 - (value / top) * (height - 6);
  const line = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  node.append(shape("polygon", { points: `0,${height} ${line} ${width},${height}`, class: "area" }));
  node.append(shape("polyline", { points: line, class: "trace" }));
  return node;
}

function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

function rows(table, head, lines, none) {
  const titles = head.map(([title, kind]) => make("th", { class: kind, scope: "col" }, title));
  const body = lines.map((cells) =>
    make("tr", {}, ...cells.map((cell, index) => make("td", { class: head[index][1] }, cell))));
  if (!body.length) body.push(make("tr", {}, make("td", { class: "quiet", colspan: head.length }, none)));
  fill(table, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...body));
}

function segments(group, choices, chosen, choose) {
  fill(group, ...choices.map(([value, name]) => make("button", {
    type: "button", "aria-pressed": String(value === chosen), "data-value": value,
    onclick: () => choose(value),
  }, name)));
}
