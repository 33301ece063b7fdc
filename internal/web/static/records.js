// Records with how their heads hang together, and the newest events.

import { $, attr, clock, el, number, text } from "./dom.js";
import { store, task } from "./store.js";
import { freshen } from "./charts.js";

const shown = 60; // rows of each list

const chains = {
  first: ["first seen", "The first record that this dashboard has seen"],
  linked: ["linked", "It names the hash of a record that was seen before"],
  gap: ["gap", "Records between this one and the last one seen have not been seen here"],
  broken: ["broken", "It does not follow from the records that were seen: the aggregator was restored, or somebody writes in its place"],
};
const sigs = {
  unsigned: ["", "This task does not sign"], signed: ["not checked", "Signed; give --aggregator-key to check it"],
  verified: ["verified", "The signature is the aggregator's"], bad: ["bad signature", "Signed by another key than the one given, or changed"],
};

let lastSeen = "";

export function renderRecords() {
  const rounds = task()?.rounds ?? [];
  text($("records-metric"), store.metric || "Metric");
  const rows = rounds.slice(-shown).reverse().map(record);
  $("records").replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: 6, class: "empty" }, "No record has been seen yet"))]));
  const bad = rounds.filter((r) => r.chain === "broken" || r.sig === "bad").length;
  const heads = rounds.filter((r) => r.hash).length;
  text($("chain"), bad ? `${bad} of ${heads} records do not fit together` : `${number(heads)} records seen, none contradicts another`);
  attr($("chain"), "class", bad ? "bad" : "dim");
  const last = rounds.at(-1);
  const key = last ? `${store.current} ${last.round}/${last.attempt}` : "";
  if (key !== lastSeen) {
    lastSeen = key;
    freshen();
  }
}

function record(r) {
  const verdict = { committed: "ok", abandoned: "bad" }[r.verdict] ?? "";
  const [chain, why] = chains[r.chain] ?? ["", "Only its numbers were seen"];
  const [sig, sigWhy] = sigs[r.sig] ?? ["", ""];
  const cls = r.chain === "broken" || r.sig === "bad" ? "bad" : r.chain === "gap" ? "warn" : r.chain === "linked" ? "ok" : "dim";
  const counts = Object.entries(r.counts ?? {}).map(([k, v]) => `${k} ${v}`).join(", ");
  return el("tr", {},
    el("td", {}, `${r.round}${r.attempt > 1 ? "/" + r.attempt : ""} `, el("span", { class: "dim" }, r.work)),
    el("td", { class: verdict, title: r.reason }, r.verdict),
    el("td", { class: "num", title: counts }, r.kept ? `${r.kept}/${r.members} for the next attempt` : `${r.counted}/${r.members}`),
    el("td", { class: "num" }, r.metrics && Object.hasOwn(r.metrics, store.metric) ? number(r.metrics[store.metric]) : "–"),
    el("td", { class: "mono", title: r.hash }, r.hash ? r.hash.slice(0, 12) : "–"),
    el("td", { class: cls, title: [why, sigWhy].filter(Boolean).join(". ") }, [chain, sig].filter(Boolean).join(", ")));
}

const tones = { committed: "ok", accepted: "ok", joined: "ok", refused: "bad", abandoned: "bad", halted: "warn", declined: "warn", waiting: "warn" };

export function renderEvents() {
  const list = (task()?.events ?? []).slice(-shown).reverse();
  $("events").replaceChildren(...(list.length ? list.map(line) : [el("li", { class: "empty" }, "Nothing has happened since this dashboard started")]));
}

function line(e) {
  const words = [e.member && e.kind !== "command" ? e.member : "", e.reason, e.detail].filter(Boolean);
  for (const [k, v] of Object.entries(e.counts ?? {})) words.push(`${k} ${v}`);
  if (!words.length && e.count) words.push(e.kind === "waiting" ? `${Math.round(e.count / 1000)} s` : `${e.count} sites`);
  return el("li", {},
    el("time", {}, clock(e.time_ms)),
    el("b", { class: tones[e.kind] }, e.kind),
    el("span", {}, `round ${e.round}${e.attempt > 1 ? "/" + e.attempt : ""}${words.length ? ": " : ""}${words.join(", ")}`));
}
