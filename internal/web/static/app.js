// The page: one stream of views in, one frame out.

import { $, text } from "./dom.js";
import { apply, metrics, store, wall } from "./store.js";
import { renderNow, tickNow } from "./now.js";
import { renderCharts, themeCharts } from "./charts.js";
import { initSites, renderSites, tickSites } from "./sites.js";
import { renderConsumers, tickConsumers } from "./consumers.js";
import { renderEvents, renderRecords } from "./records.js";
import { initCommands, renderCommands } from "./commands.js";
import { initTheme } from "./theme.js";

const kept = 500; // performance entries
let cost = 0; // milliseconds spent on views since the last frame
let asked = false;
let first = true;

function schedule() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(frame);
}

// frame draws what has changed, and notes how long views and drawing took.
function frame() {
  asked = false;
  const start = performance.now();
  const dirty = store.dirty;
  store.dirty = new Set();
  if (dirty.has("rounds")) chooseMetric();
  if (dirty.has("rounds") || dirty.has("compared") || dirty.has("metric")) {
    renderCharts();
    renderRecords();
  }
  if (dirty.has("link") || dirty.has("tasks") || dirty.has("task") || dirty.has("rounds") || dirty.has("events")) renderNow();
  if (dirty.has("link") || dirty.has("task") || dirty.has("events")) renderCommands();
  if (dirty.has("sites") || dirty.has("task") || dirty.has("compared") || dirty.has("metric")) renderSites();
  if (dirty.has("consumers")) renderConsumers();
  if (dirty.has("events")) renderEvents();
  const end = performance.now();
  performance.measure("fedmq-update", { start: start - cost, end });
  if (first && store.tasks.size) {
    first = false;
    performance.measure("fedmq-first", { start: 0, end });
  }
  if (performance.getEntriesByName("fedmq-update").length > kept) performance.clearMeasures("fedmq-update");
  cost = 0;
}

// chooseMetric keeps the list of metrics, and shows the first if none is chosen.
function chooseMetric() {
  const names = metrics();
  if (!names.includes(store.metric)) store.metric = names[0] ?? "";
  const select = $("metric");
  if ([...select.options].map((o) => o.value).join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((n) => new Option(n, n)));
  }
  select.value = store.metric;
  select.disabled = names.length === 0;
}

function connect() {
  const stream = new EventSource("/api/live");
  stream.onmessage = (e) => {
    const start = performance.now();
    apply(JSON.parse(e.data));
    cost += performance.now() - start;
    $("banner").hidden = true;
    schedule();
  };
  stream.onerror = () => {
    text($("banner"), "The dashboard does not answer; what is shown may be old. Trying again.");
    $("banner").hidden = false;
    store.deaf ||= wall();
    for (const d of ["link", "task", "sites"]) store.dirty.add(d);
    schedule();
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000); // refused: too many pages, say
  };
}

initTheme(themeCharts);
initCommands();
initSites(schedule);
$("metric").addEventListener("change", (e) => {
  store.metric = e.target.value;
  store.dirty.add("metric");
  schedule();
});
document.addEventListener("fedmq-render", schedule);
setInterval(() => { tickNow(); tickSites(); tickConsumers(); }, 1000);
connect();
