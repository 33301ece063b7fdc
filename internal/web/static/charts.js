// Charts by uPlot (vendored), one x axis: the round.

import { $, bytes, colour, el, number, text } from "./dom.js";
import { measured, store, task } from "./store.js";

const uPlot = window.uPlot;
const maxCompared = 6;
const hues = ["#e69f00", "#cc79a7", "#009e73", "#d55e00", "#b8a800", "#7a68d8"]; // as .compare .c0 ...
const plots = new Map(); // id -> {plot, key}
const series = new Map(); // path -> history of a site
const captions = new Map(); // caption id -> text without a cursor
let changes = []; // rounds whose cohort is not that of the round before: [round, was, is]

// draw makes a chart, or gives it new data if its shape is the same.
function draw(id, key, lines, bands, data, fmt, caption) {
  const box = $(id);
  captions.set(caption.id, caption.text);
  text($(caption.id), caption.text);
  const had = plots.get(id);
  if (had?.key === key) {
    had.plot.setData(data);
    return;
  }
  had?.plot.destroy();
  const axis = (more) => ({ stroke: () => colour("--dim"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", ...more });
  const plot = new uPlot({
    width: Math.max(box.clientWidth, 100), height: box.clientHeight,
    legend: { show: false }, cursor: { y: false, points: { size: 6 }, drag: { setScale: false } },
    scales: {
      x: { time: false, range: (_, a, b) => (a === null ? [0, 1] : [a - 0.6, b + 0.6]) },
      y: caption.zero ? { range: (_, a, b) => [0, b > 0 ? b * 1.1 : 1] } : {},
    },
    axes: [axis({ size: 30, values: (_, v) => v.map((x) => (Number.isInteger(x) ? x : "")), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 1e6] }), axis({ size: 62, values: (_, v) => v.map(fmt) })],
    series: [{}, ...lines], bands,
    hooks: { setCursor: [(u) => hover(u, caption, fmt)], draw: caption.marks ? [marks] : [] },
  }, data, box);
  plots.set(id, { plot, key });
}

// hover says in the caption what is under the cursor.
function hover(u, caption, fmt) {
  const i = u.cursor.idx;
  if (i === null || i === undefined) return text($(caption.id), captions.get(caption.id));
  const parts = u.series.slice(1).map((s, k) => [s.label, u.data[k + 1][i]]).filter(([, v]) => v !== null && v !== undefined);
  text($(caption.id), `Round ${u.data[0][i]}: ${parts.map(([l, v]) => `${l} ${fmt(v)}`).join(", ")}`);
}

// marks draws a dashed line before each round with another cohort.
function marks(u) {
  const g = u.ctx;
  g.save();
  g.strokeStyle = colour("--late");
  g.lineWidth = 1.5 * devicePixelRatio;
  g.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const [round] of changes) {
    const x = Math.round(u.valToPos(round - 0.5, "x", true));
    if (x < u.bbox.left) continue;
    g.beginPath();
    g.moveTo(x, u.bbox.top);
    g.lineTo(x, u.bbox.top + u.bbox.height);
    g.stroke();
  }
  g.restore();
}

new ResizeObserver((entries) => {
  for (const e of entries) plots.get(e.target.id)?.plot.setSize({ width: Math.max(e.contentRect.width, 100), height: e.contentRect.height });
}).observe($("chart-metric"));
addEventListener("resize", () => {
  for (const [id, { plot }] of plots) plot.setSize({ width: Math.max($(id).clientWidth, 100), height: $(id).clientHeight });
});

export function themeCharts() {
  for (const { plot } of plots.values()) plot.redraw(true, true);
}

const pen = (name, width = 2) => ({ stroke: () => colour(name), width });
const fill = (name, share) => () => `color-mix(in srgb, ${colour(name)} ${share}%, transparent)`;

export function renderCharts() {
  metricChart();
  const last = new Map(); // round -> its last attempt, and how many were abandoned
  for (const r of task()?.rounds ?? []) {
    if (!r.verdict) continue;
    last.set(r.round, { ...r, abandoned: (last.get(r.round)?.abandoned ?? 0) + (r.verdict === "abandoned" ? 1 : 0) });
  }
  const rs = [...last.values()];
  const xs = rs.map((r) => r.round);
  const bars = uPlot.paths.bars({ size: [0.7, 40] });
  const points = { show: false };
  const short = (v) => (v === null ? "" : number(v));
  draw("chart-sites", "sites", [
    { label: "in the cohort", paths: bars, points, width: 0, fill: () => colour("--line") },
    { label: "counted", paths: bars, points, width: 0, fill: () => colour("--bar-done") },
    { label: "abandoned attempts", stroke: () => colour("--failed"), paths: () => null, points: { show: true, size: 8, fill: () => colour("--failed") } },
  ], [], [xs, rs.map((r) => r.members), rs.map((r) => (r.verdict === "committed" ? r.counted : 0)), rs.map((r) => r.abandoned || null)], short,
  { id: "cap-sites", text: "Sites counted, of the cohort, in each round", zero: true });
  draw("chart-seconds", "seconds", [{ label: "seconds", paths: bars, points, width: 0, fill: () => colour("--bar-time") }], [],
    [xs, rs.map((r) => r.seconds)], short, { id: "cap-seconds", text: "Seconds from order to record", zero: true });
  draw("chart-bytes", "bytes", [{ label: "updates in", ...pen("--accent"), points }, { label: "models out", ...pen("--late"), points }], [],
    [xs, rs.map((r) => r.bytes_up || null), rs.map((r) => r.bytes_down || null)], (v) => (v >= 1 ? bytes(v) : v ? "" : "0"),
    { id: "cap-bytes", text: "Bytes: updates in (blue), models out (orange)", zero: true });
}

function metricChart() {
  const rs = measured();
  const xs = rs.map((r) => r.round);
  const spread = (i) => rs.map((r) => r.spread?.[store.metric]?.[i] ?? null);
  const none = { width: 0, points: { show: false }, stroke: "transparent" };
  const lines = [
    { label: "greatest", ...none }, { label: "least", ...none }, { label: "upper quarter", ...none }, { label: "lower quarter", ...none },
    { label: "federated", ...pen("--accent", 3), points: { show: rs.length < 40, size: 6, fill: () => colour("--accent") } },
  ];
  const data = [xs, spread(4), spread(0), spread(3), spread(1), rs.map((r) => r.metrics[store.metric])];
  store.compared.forEach((path, i) => {
    const h = series.get(path)?.[store.metric];
    const at = new Map((h?.rounds ?? []).map((r, k) => [r, h.values[k]]));
    lines.push({ label: path, stroke: hues[i], width: 1.5, points: { show: false } });
    data.push(xs.map((x) => at.get(x) ?? null));
  });
  const bands = [{ series: [1, 2], fill: fill("--accent", 11) }, { series: [3, 4], fill: fill("--accent", 20) }];
  const name = store.metric || "metric";
  changes = rs.flatMap((r, i) => (i > 0 && r.members !== rs[i - 1].members ? [[r.round, rs[i - 1].members, r.members]] : []));
  const last = changes.at(-1);
  const changed = last ? ` Dashed: the cohort changed, last in round ${last[0]}, from ${last[1]} to ${last[2]} sites.` : "";
  const said = rs.length ? `${name} by round: federated (line), middle half of the sites (band), least to greatest (pale). Now ${number(data[5].at(-1))}.${changed}` : "No round has been measured yet";
  draw("chart-metric", `metric ${store.metric} ${store.compared.join(" ")}`, lines, bands, data, (v) => number(v), { id: "cap-metric", text: said, marks: true });
  compare();
}

function compare() {
  $("compare").replaceChildren(...store.compared.map((path, i) => {
    const b = el("button", { type: "button", class: `c${i}`, "aria-label": `Take ${path} out of the chart` }, `${path} ✕`);
    b.addEventListener("click", () => toggle(path));
    return b;
  }));
}

// toggle puts a site into the chart, or takes it out.
export async function toggle(path) {
  const at = store.compared.indexOf(path);
  if (at >= 0) store.compared.splice(at, 1);
  else {
    store.compared.push(path);
    if (store.compared.length > maxCompared) store.compared.shift();
    await fetchSeries(path);
  }
  store.dirty.add("compared");
  document.dispatchEvent(new Event("fedmq-render"));
}

async function fetchSeries(path) {
  const answer = await fetch(`/api/site?${new URLSearchParams({ task: store.current, path })}`);
  series.set(path, answer.ok ? await answer.json() : {});
}

// freshen asks again for the sites that are compared, when a round has ended.
export async function freshen() {
  if (!store.compared.length) return;
  await Promise.all(store.compared.map(fetchSeries));
  store.dirty.add("compared");
  document.dispatchEvent(new Event("fedmq-render"));
}
