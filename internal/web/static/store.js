// What is known of the federation, as the server's views say: the first one is
// complete, later ones hold what has changed.

const maxRounds = 512;
const maxEvents = 200;

export const signs = { lost: "✕", failed: "!", late: "◔", busy: "▶", idle: "–", done: "✓" };
export const standings = Object.keys(signs); // worst first

export const store = {
  link: { up: false }, owner: {}, ignored: 0, crowded: 0,
  tasks: new Map(), // name -> task
  sites: new Map(), // name -> Map(path -> site)
  consumers: new Map(), // name -> Map(path -> who uses what is released)
  current: "", // the task that is shown
  metric: "", // its metric that is shown
  compared: [], // paths in the chart
  offset: 0, // the server's clock less ours
  deaf: 0, // since when this page's server does not answer
  dirty: new Set(),
};

// wall is the server's time; now stands still while nothing is heard.
export const wall = () => Date.now() + store.offset;
export const asOf = () => store.deaf || (store.link.up || !store.link.since_ms ? 0 : store.link.since_ms);
export const now = () => asOf() || wall();
export const task = () => store.tasks.get(store.current);
export const sites = () => store.sites.get(store.current) ?? new Map();
export const consumers = () => store.consumers.get(store.current) ?? new Map();

export function apply(v) {
  if (v.full) {
    store.tasks.clear();
    store.sites.clear();
    store.consumers.clear();
    for (const d of ["task", "rounds", "events", "sites", "consumers"]) store.dirty.add(d);
  }
  Object.assign(store, { link: v.link, owner: v.owner, ignored: v.ignored, crowded: v.crowded });
  store.offset = v.now_ms - Date.now();
  store.deaf = 0;
  store.dirty.add("link");
  for (const t of v.tasks ?? []) applyTask(t);
  for (const s of v.sites ?? []) {
    let all = store.sites.get(s.task);
    if (!all) store.sites.set(s.task, (all = new Map()));
    all.set(s.path, s);
    if (s.task === store.current) store.dirty.add("sites");
  }
  for (const c of v.consumers ?? []) {
    let all = store.consumers.get(c.task);
    if (!all) store.consumers.set(c.task, (all = new Map()));
    all.set(c.path, c);
    if (c.task === store.current) store.dirty.add("consumers");
  }
  if (!store.tasks.has(store.current)) choose(store.tasks.keys().next().value ?? "");
}

function applyTask(v) {
  let t = store.tasks.get(v.name);
  if (!t) {
    t = { rounds: [], events: [] };
    store.tasks.set(v.name, t);
    store.dirty.add("tasks");
  }
  const { rounds = [], events = [], ...rest } = v;
  for (const k of ["reason", "waiting_for", "waiting", "away", "abandoned", "contested", "refusals", "canary"]) delete t[k]; // left out when empty
  Object.assign(t, rest);
  for (const r of rounds) mergeRound(t.rounds, r);
  for (const e of events) if (e.id > (t.events.at(-1)?.id ?? 0)) t.events.push(e);
  t.events.splice(0, Math.max(0, t.events.length - maxEvents));
  if (v.name !== store.current) return;
  store.dirty.add("task");
  if (rounds.length) store.dirty.add("rounds");
  if (events.length) store.dirty.add("events");
}

// mergeRound keeps the list in the order of rounds and attempts.
function mergeRound(list, r) {
  let i = list.length;
  while (i > 0 && (list[i - 1].round > r.round || (list[i - 1].round === r.round && list[i - 1].attempt > r.attempt))) i--;
  const same = i > 0 && list[i - 1].round === r.round && list[i - 1].attempt === r.attempt;
  if (same) list[i - 1] = r;
  else list.splice(i, 0, r);
  if (list.length > maxRounds) list.shift();
}

// choose shows another task.
export function choose(name) {
  store.current = name;
  store.compared = [];
  for (const d of ["tasks", "task", "rounds", "events", "sites", "consumers", "compared"]) store.dirty.add(d);
}

// lower reports whether less of a metric is better.
export const lower = (name) => /loss|rmse|mae|mse|error/.test(name);

const preferred = ["rmse", "accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "average_precision", "mae", "bias", "r2", "log_loss", "loss"];

// metrics lists the metrics of the task, those that say most first.
export function metrics() {
  const names = new Set();
  for (const r of task()?.rounds.slice(-20) ?? []) for (const n of Object.keys(r.metrics ?? {})) names.add(n);
  const first = task()?.shown;
  const rank = (n) => (n === first ? 0 : preferred.indexOf(n) + 1 || (n === "n" ? 99 : 50));
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

// measured are the rounds that have the shown metric.
export const measured = () => (task()?.rounds ?? []).filter((r) => r.metrics && Object.hasOwn(r.metrics, store.metric));

// pausing reports whether a pause was asked for that has not come yet, as far as
// its event was seen.
export function pausing(t) {
  if (!t || t.phase === "halted") return false;
  const said = t.events.filter((e) => e.kind === "command" && /^(pause|resume): done/.test(e.detail ?? "")).at(-1);
  return Boolean(said) && said.detail.startsWith("pause:") && !t.events.some((e) => e.id > said.id && e.kind === "halted");
}
