// The table of sites: only the rows in sight are elements, whatever their number.

import { $, attr, clock, colour, el, number, span, text } from "./dom.js";
import { now, signs, sites, standings, store, task } from "./store.js";
import { toggle } from "./charts.js";

const rowHeight = 34;
const spare = 4; // rows above and below those in sight
const columns = [
  { name: "Site", cls: "w-path", key: (s) => s.path },
  { name: "Standing, and why", cls: "w-why", key: (s) => standings.indexOf(s.standing) },
  { name: "Progress", cls: "w-bar opt", key: (s) => s.progress ?? -1 },
  { name: "Round", cls: "w-n num opt", key: (s) => s.round },
  { name: "Rows", cls: "w-n num opt", key: (s) => s.samples },
  { name: "metric", cls: "w-n num opt", key: (s) => s.metrics?.[store.metric] ?? -Infinity },
  { name: "Silent", title: "Time since its last status", cls: "w-n num opt", key: (s) => -s.heard_ms },
];

const view = { sort: 1, down: false, only: "", needle: "", rows: [], active: 0 };
let ask = () => {};

export function initSites(schedule) {
  ask = () => { store.dirty.add("sites"); schedule(); };
  columns.forEach((c, i) => {
    const b = el("button", { type: "button" }, c.name);
    b.addEventListener("click", () => {
      view.down = view.sort === i && !view.down;
      view.sort = i;
      ask();
    });
    $("sites-head").append(el("th", { scope: "col", class: c.cls, title: c.title }, b));
  });
  for (const s of standings) {
    const b = el("button", { type: "button", "aria-pressed": "false" }, el("span", { class: `s ${s}` }, `${signs[s]} ${s}`), " ", el("span"));
    b.addEventListener("click", () => { view.only = view.only === s ? "" : s; ask(); });
    $("standings").append(b);
  }
  $("filter").addEventListener("input", (e) => { view.needle = e.target.value.toLowerCase(); $("sites-scroll").scrollTop = 0; ask(); });
  $("sites-scroll").addEventListener("scroll", () => requestAnimationFrame(window_), { passive: true });
  $("sites-scroll").addEventListener("keydown", keys);
  $("sites-body").addEventListener("click", (e) => {
    const path = e.target.closest("tr")?.dataset.path;
    if (path) toggle(path);
  });
  new ResizeObserver(() => requestAnimationFrame(map)).observe($("map").parentElement);
}

// keys moves through the rows; Enter compares one in the chart.
function keys(e) {
  const page = Math.floor($("sites-scroll").clientHeight / rowHeight) - 2;
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 }[e.key];
  if (step !== undefined) {
    view.active = Math.min(Math.max(view.active + step, 0), Math.max(view.rows.length - 1, 0));
    const box = $("sites-scroll");
    const top = view.active * rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + 2 * rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + 2 * rowHeight - box.clientHeight;
    window_();
  } else if (e.key === "Enter" && view.rows[view.active]) toggle(view.rows[view.active].path);
  else return;
  e.preventDefault();
}

export function renderSites() {
  const all = [...sites().values()];
  const counts = {};
  for (const s of all) counts[s.standing] = (counts[s.standing] ?? 0) + 1;
  standings.forEach((s, i) => {
    const b = $("standings").children[i];
    text(b.lastElementChild, counts[s] ?? 0);
    attr(b, "aria-pressed", view.only === s ? "true" : "false");
  });
  const { key } = columns[view.sort];
  const sign = view.down ? -1 : 1;
  view.rows = all
    .filter((s) => (!view.only || s.standing === view.only) && (!view.needle || s.path.toLowerCase().includes(view.needle) || s.why.toLowerCase().includes(view.needle)))
    .map((s) => [key(s), s])
    .sort(([a, x], [b, y]) => (a === b ? (x.path < y.path ? -1 : 1) : sign * (a < b ? -1 : 1)))
    .map(([, s]) => s);
  text($("shown"), view.rows.length === all.length ? `${number(all.length)} sites` : `${number(view.rows.length)} of ${number(all.length)} sites`);
  columns.forEach((c, i) => {
    const th = $("sites-head").children[i];
    attr(th, "aria-sort", view.sort === i ? (view.down ? "descending" : "ascending") : null);
    text(th.firstElementChild, (c.name === "metric" ? store.metric || "Metric" : c.name) + (view.sort === i ? (view.down ? " ↓" : " ↑") : ""));
  });
  attr($("sites-table"), "aria-rowcount", view.rows.length + 1);
  window_();
  map();
}

export function tickSites() { window_(); }

// window_ fills the rows in sight.
function window_() {
  const box = $("sites-scroll");
  const body = $("sites-body");
  const from = Math.max(0, Math.floor(box.scrollTop / rowHeight) - spare);
  const fits = Math.ceil(430 / rowHeight) + 2 * spare;
  const to = Math.min(view.rows.length, from + Math.max(fits, Math.ceil(box.clientHeight / rowHeight) + 2 * spare));
  if (!body.firstElementChild) body.append(space(), space());
  const want = to - from;
  while (body.children.length - 2 < want) body.insertBefore(emptyRow(), body.lastElementChild);
  while (body.children.length - 2 > want) body.lastElementChild.previousElementSibling.remove();
  body.firstElementChild.firstElementChild.style.height = `${from * rowHeight}px`;
  body.lastElementChild.firstElementChild.style.height = `${(view.rows.length - to) * rowHeight}px`;
  attr($("sites-table"), "aria-activedescendant", view.active >= from && view.active < to ? `site-${view.active}` : null);
  const at = now();
  for (let i = 0; i < want; i++) fill(body.children[i + 1], view.rows[from + i], from + i, at);
}

const space = () => el("tr", { class: "space", "aria-hidden": "true" }, el("td", { colspan: columns.length }));

function emptyRow() {
  const cells = columns.map((c) => el("td", { class: c.cls }));
  cells[1].append(el("span", { class: "s" }), " ", el("span"));
  cells[2].append(el("span", { class: "tiny" }, el("i")), el("span", { class: "pct" }));
  return el("tr", {}, ...cells);
}

function fill(tr, s, i, at) {
  if (tr.dataset.path !== s.path) tr.dataset.path = s.path;
  attr(tr, "aria-rowindex", i + 2);
  attr(tr, "id", `site-${i}`);
  attr(tr, "class", i === view.active ? "active" : null);
  attr(tr, "aria-selected", store.compared.includes(s.path) ? "true" : null);
  const [path, why, bar, round, samples, metric, heard] = tr.children;
  text(path, s.path);
  attr(path, "title", s.path);
  attr(why.firstElementChild, "class", `s ${s.standing}`);
  text(why.firstElementChild, `${signs[s.standing] ?? "?"} ${s.standing}`);
  const reason = s.why + (s.since_ms ? ` since ${clock(s.since_ms)}, ${span(at - s.since_ms)}` : "");
  text(why.lastElementChild, reason === s.standing ? "" : reason);
  attr(why, "title", reason);
  const p = s.progress ?? null;
  bar.firstElementChild.hidden = p === null;
  bar.firstElementChild.firstElementChild.style.width = `${100 * (p ?? 0)}%`;
  text(bar.lastElementChild, p === null ? "" : `${Math.round(100 * p)} %`);
  const behind = s.counted && task() ? task().round - s.counted : 0;
  text(round, behind > 1 ? `${s.round} (−${behind})` : s.round);
  attr(round, "title", s.counted ? `last counted in round ${s.counted}` : "not seen to be counted yet");
  text(samples, number(s.samples));
  text(metric, s.metrics && Object.hasOwn(s.metrics, store.metric) ? number(s.metrics[store.metric]) : "–");
  text(heard, s.heard_ms ? span(at - s.heard_ms) : "–");
}

// map draws one cell a site, in the order of paths, when there are many.
function map() {
  const canvas = $("map");
  const all = [...sites().values()];
  canvas.hidden = all.length < 40;
  if (canvas.hidden) return;
  all.sort((a, b) => (a.path < b.path ? -1 : 1));
  const width = canvas.parentElement.clientWidth - 36;
  const cell = all.length > 4000 ? 5 : all.length > 400 ? 9 : 14;
  const across = Math.max(1, Math.floor(width / cell));
  const height = Math.ceil(all.length / across) * cell;
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
  }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  for (const standing of standings) {
    g.fillStyle = colour(`--${standing}`);
    g.globalAlpha = standing === "idle" ? 0.35 : standing === "done" || standing === "busy" ? 0.75 : 1;
    all.forEach((s, i) => {
      if (s.standing === standing) g.fillRect((i % across) * cell, Math.floor(i / across) * cell, cell - 1.5, cell - 1.5);
    });
  }
}
