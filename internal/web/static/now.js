// The top of the page: connections, tasks, the current round, key figures.

import { $, attr, bytes, clock, el, number, span, text } from "./dom.js";
import { headline } from "./headline.js";
import { asOf, choose, lower, measured, now, pausing, sites, store, task, wall } from "./store.js";

export function renderNow() {
  pills();
  tabs();
  round();
  facts();
  tickNow();
}

function pills() {
  const list = [];
  const { link, owner } = store;
  list.push([link.up ? "good" : "off", link.up ? "broker connected" : "broker not connected", link.reason]);
  if (asOf()) list.push(["", "aggregator not known now", "Nothing is heard without the broker"]);
  else if (owner.known) list.push([owner.online ? "good" : "off", owner.online ? "aggregator online" : "aggregator offline", owner.agent]);
  else list.push(["", "aggregator unknown", "No presence has arrived"]);
  if (task()?.security) list.push([task().security === "signed" ? "good" : "", task().security, ""]);
  const key = JSON.stringify(list);
  if ($("pills").dataset.key !== key) {
    $("pills").dataset.key = key;
    $("pills").replaceChildren(...list.map(([c, s, title]) => el("span", { class: `pill ${c}`, title }, s)));
  }
  text($("owner"), owner.path ?? "");
  const foot = [];
  if (store.ignored) foot.push(`${number(store.ignored)} messages were not understood and left out.`);
  if (store.crowded) foot.push("There are more sites than are shown.");
  foot.push("Events and records are shown since this dashboard started; the whole records are on the aggregator's disk.");
  text($("foot"), foot.join(" "));
}

function tabs() {
  const names = [...store.tasks.keys()].sort();
  const nav = $("tasks");
  if (nav.dataset.key !== names.join("/")) {
    nav.dataset.key = names.join("/");
    nav.replaceChildren(...names.map((n) => {
      const b = el("button", { type: "button" }, n);
      b.addEventListener("click", () => { choose(n); document.dispatchEvent(new Event("fedmq-render")); });
      return b;
    }));
  }
  for (const b of nav.children) attr(b, "aria-current", b.textContent === store.current ? "true" : null);
}

// words for the phases of a round and for its work
const works = { train: "training", evaluate: "evaluating", statistics: "computing statistics", init: "initial model" };
const phases = {
  idle: "waiting for sites to join", open: "", closing: "closing: averaging and storing",
  waiting: "waiting before the next attempt", halted: "halted",
};

function title(t) {
  if (!store.link.up && !t?.phase) return "Not connected to the broker";
  if (!t) return "No task has been seen yet";
  if (!t.phase) return `Nothing has been heard of ${t.name}`;
  if (t.reason === "finished") return t.name;
  const of = t.train_rounds ? ` of ${t.train_rounds}` : "";
  return `Round ${t.round}${t.work === "train" ? of : ""}`;
}

function round() {
  const t = task();
  text($("now-title"), title(t));
  const finished = t?.reason === "finished";
  document.title = t ? `${finished ? "finished" : title(t)} · ${t.name} · fedmq` : "fedmq";
  text($("phase"), !t?.phase ? "" : finished ? "finished" : t.phase === "halted" && ["paused", "stopped"].includes(t.waiting?.why) ? t.waiting.why : t.phase);
  attr($("phase"), "class", `chip ${finished ? "finished" : t?.phase ?? ""}`);
  const words = [];
  if (t?.phase) {
    if (!t.waiting && !finished && phases[t.phase]) words.push(phases[t.phase]);
    if (t.work && t.work !== "none") words.push(works[t.work] ?? t.work);
    if (pausing(t)) words.push("pausing at the end of the round");
    if (t.attempt > 1) words.push(`attempt ${t.attempt}`);
    if (t.reason && !finished && !t.waiting) words.push(t.reason);
    for (const c of t.contested ?? []) words.push(`${c.member}: two processes since ${clock(c.since_ms).slice(0, 5)}, hosts ${c.hosts[0]} and ${c.hosts[1]}`);
    for (const [k, v] of Object.entries(t.refusals ?? {})) words.push(`${v} messages refused: ${k}`);
  }
  text($("now-text"), words.join(" · "));
}

// tickNow moves what moves with the clock.
export function tickNow() {
  const t = task();
  const old = asOf();
  document.body.classList.toggle("stale", Boolean(old));
  text($("asof"), old ? `as of ${clock(old)}` : "");
  text($("headline"), t ? headline(store.link, store.owner, t, wall()) : "");
  const open = t?.phase === "open";
  $("meters").hidden = $("commands").hidden = t?.reason === "finished";
  text($("accepted-text"), open ? `${number(t.accepted)} of ${number(t.cohort)}, quorum ${number(t.quorum)}` : "no round is open");
  bar($("accepted"), open && t.cohort ? t.accepted / t.cohort : 0, open ? t.cohort : 0, open ? t.accepted : 0);
  const mark = $("accepted").querySelector("u");
  mark.hidden = !(open && t.cohort && t.quorum <= t.cohort);
  if (!mark.hidden) mark.style.left = `calc(${(100 * t.quorum) / t.cohort}% - 2px)`;
  const runs = open && t.deadline_ms > 0;
  const all = runs ? t.deadline_ms - t.opened_ms : 0;
  const left = runs ? t.deadline_ms - now() : 0;
  text($("deadline-text"), runs ? (left > 0 ? span(left) : "reached") : "–");
  const used = all > 0 ? Math.min(1, Math.max(0, 1 - left / all)) : 0;
  bar($("deadline"), used, 100, Math.round(100 * used));
  $("deadline").classList.toggle("short", used > 0.75);
}

function bar(e, share, max, value) {
  e.firstElementChild.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  attr(e, "aria-valuemax", max);
  attr(e, "aria-valuenow", value);
}

function facts() {
  const t = task();
  const list = [];
  const m = measured();
  const latest = m.at(-1);
  if (latest) {
    const v = latest.metrics[store.metric];
    const d = m.length > 1 ? v - m[0].metrics[store.metric] : 0;
    const good = d === 0 ? "" : (d < 0) === lower(store.metric) ? "better" : "worse";
    const guess = task()?.guess?.[store.metric];
    const beside = guess === undefined ? "" : `; a constant guess ${number(guess)}`;
    list.push([store.metric, number(v), (good ? `${number(Math.abs(d))} ${good} than in round ${m[0].round}` : `round ${latest.round}`) + beside]);
  } else list.push(["metric", "–", "no round has been measured"]);
  const all = [...sites().values()];
  const online = all.filter((s) => s.standing !== "lost").length;
  const dropped = t?.away?.length ?? 0;
  const note = t?.reason === "finished" ? "went through to the end" : dropped ? `${dropped} not asked any more` : "online and responding";
  list.push(["sites", `${number(online)} of ${number(all.length)}`, note]);
  const last = t?.rounds.at(-1);
  list.push(["last round", last ? `${number(last.seconds)} s` : "–", last ? `${last.verdict}, ${last.counted} of ${last.members} counted` : ""]);
  list.push(["model", t?.phase ? `v${t.version}` : "–", t?.model ? t.model.slice(0, 16) : ""]);
  if (t?.best) list.push(["best version", `v${t.best.version}`, `${t.best.metric} ${number(t.best.value)}`]);
  if (t?.released || t?.candidate) list.push(["released", t.released ? `v${t.released}` : "–", t.candidate ? `v${t.candidate} waits for a release by an operator` : ""]);
  if (t?.canary) list.push(["canary", `v${t.canary.version}`, `on ${t.canary.to.join(", ")}` + (t.canary.held ? "; has held, waits for a release" : "")]);
  const up = (t?.rounds ?? []).reduce((n, r) => n + r.bytes_up, 0);
  const down = (t?.rounds ?? []).reduce((n, r) => n + r.bytes_down, 0);
  const known = (t?.rounds ?? []).filter((r) => r.bytes_up || r.bytes_down).length;
  const span = known === 1 ? "1 round" : `${known} rounds`;
  list.push(["updates in", bytes(up), `payload of ${span}`], ["models out", bytes(down), `published in ${span}`]);
  const box = $("facts");
  while (box.children.length < list.length) box.append(el("div", { class: "fact" }, el("small"), el("b"), el("small")));
  while (box.children.length > list.length) box.lastChild.remove();
  list.forEach(([name, value, note], i) => {
    const [a, b, c] = box.children[i].children;
    text(a, name); text(b, value); text(c, note);
  });
}
