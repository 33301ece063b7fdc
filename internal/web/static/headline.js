// The headline: who blocks a task, since when, and what to do. It is the twin of
// watch.Headline; internal/watch/testdata/headlines.json holds both against one
// table.

import { span } from "./dom.js";

const named = 3;

export function headline(link, owner, t, now) {
  if (!link.up) return `Not connected to the broker${lasting(link.since_ms, now)}${because(link.reason)}. Shown is what was last heard.`;
  if (!t.phase) return `Nothing has been heard of ${t.name} yet.`;
  if (t.reason === "finished") return `Finished after ${plural(t.round - 1, "round")}: the model is version ${t.version}${t.best ? `, the best is version ${t.best.version} by ${t.best.metric}` : ""}.`;
  if (owner.known && !owner.online) return `The aggregator is offline${lasting(owner.since_ms, now)}. Start it: nothing goes on without it, and what sites have finished is kept.`;
  const w = t.waiting;
  if (!w && t.phase !== "open") return "";
  let out = w ? sentence(w, t, now) : `Round ${t.round} is open.`; // as its event said; who is waited for follows
  const a = t.abandoned;
  if (a && (t.phase === "open" || t.phase === "waiting")) out += ` Attempt ${a.attempt} was given up (${a.reason}): ${a.kept} of ${a.members} accepted, and kept.`;
  if (t.away?.length && w?.why !== "sites") out += ` Not asked: ${people(t.away, 0, now)}.`;
  return out;
}

function sentence(w, t, now) {
  switch (w.why) {
    case "sites": return sites(w, now);
    case "updates": return updates(w, t, now, lasting(w.since_ms, now));
    case "again": return updates(w, t, now, `, again since the broker or the aggregator came back ${span(now - w.since_ms)} ago`);
    case "store": return `Averaging and storing round ${t.round}.`;
    case "time": {
      const left = (w.until_ms ?? 0) - now;
      return `The next round of statistics begins ${left > 0 ? `in ${span(left)}` : "at once"}.`;
    }
    case "backoff": {
      const left = (w.until_ms ?? 0) - now;
      const missing = w.members?.length ? `. Missing: ${people(w.members, w.more, now)}. See their status and logs` : "";
      return `Attempts in a row came to nothing. The next begins ${left > 0 ? `in ${span(left)}` : "at once"}${missing}.`;
    }
    case "paused": return `Paused${lasting(w.since_ms, now)}, before round ${t.round}. Resume goes on.`;
    case "stopped": return `Stopped${lasting(w.since_ms, now)}${because(t.reason)}. Start goes on, once that is mended.`;
    default: return "";
  }
}

function sites(w, now) {
  const members = w.members ?? [];
  const n = Math.max(w.want - w.here, 1);
  const since = members.some((m) => m.since_ms > 0) ? "" : lasting(w.since_ms, now);
  const missing = members.length ? ` Missing: ${people(members, w.more, now)}.` : "";
  const who = n > 1 ? "them" : members.length > 1 ? "one of them" : "it";
  const or = w.do === "start_or_begin_without" ? "send start to begin without" : "lower quorum";
  return `Waiting for ${plural(n, "more site")}${since}: ${w.here} of ${w.want} here.${missing} Start ${who}, or ${or}.`;
}

function updates(w, t, now, since) {
  const n = (w.members?.length ?? 0) + (w.more ?? 0);
  if (!n) return `Round ${t.round}: all has been said, it closes.`;
  const left = t.deadline_ms - now;
  const when = !t.deadline_ms ? "at the deadline" : left > 0 ? `in ${span(left)}` : "at once";
  const need = w.want - w.here;
  const then = need > 0 ? `${need} more must come, or the attempt is given up ${when}.` : `The round goes on without ${n === 1 ? "it" : "them"} ${when}.`;
  return `Waiting for ${n} of ${plural(t.cohort, "site")}${since}: ${people(w.members, w.more, now)}. ${then}`;
}

// people lists members with what is known of each.
function people(list, more, now) {
  const out = list.slice(0, named).map((m) => m.path + (m.why ? `, ${m.why}${lasting(m.since_ms, now)}` : "")).join("; ");
  const rest = list.length - Math.min(list.length, named) + (more ?? 0);
  return rest > 0 ? `${out}; and ${rest} more` : out;
}

const because = (reason) => (reason ? `: ${reason}` : "");
const lasting = (since, now) => (since > 0 ? ` for ${span(now - since)}` : "");
const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
