// The table of nodes that use what is released: few beside sites, so all rows are elements.

import { $, el, span } from "./dom.js";
import { consumers, now, store } from "./store.js";

const most = 200;

export function renderConsumers() {
  const all = [...consumers().values()];
  $("consumers").hidden = all.length === 0;
  all.sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  $("consumers-body").replaceChildren(...all.slice(0, most).map((c) => el("tr", {},
    el("th", { scope: "row" }, c.path),
    el("td", { class: "num" }, c.version === undefined ? "none" : `v${c.version}`),
    el("td", { class: "opt" }, c.from ?? "–"),
    el("td", { class: "num opt" }, c.heard_ms ? span(now() - c.heard_ms) : "–"),
    el("td", { class: c.failed || !c.online ? "why bad" : "why" }, why(c)))));
  $("consumers-note").textContent = all.length > most ? `the first ${most} of ${all.length}` : "";
}

const rank = (c) => (c.failed ? 0 : c.online ? 2 : 1);

function why(c) {
  const a = c.online && c.tries;
  if (a) {
    const again = c.failed?.version === a.version ? `, failed ${c.failed.times} times: ${c.failed.why}` : "";
    return `its command for v${a.version} runs for ${span(now() - a.since_ms)}${again}`;
  }
  if (c.failed) return `cannot take v${c.failed.version}, tried ${c.failed.times} times: ${c.failed.why}`;
  return c.online ? "" : "offline";
}

// tickConsumers lets the times go on.
export function tickConsumers() {
  if (store.tasks.size && consumers().size) renderConsumers();
}
