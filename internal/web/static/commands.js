// Commands: asked twice, and sent with the token.

import { $, el, text, toast } from "./dom.js";
import { asOf, pausing, store, task } from "./store.js";

const commands = [
  ["start", "Start", "Open a round as soon as there is a quorum, without waiting for more sites; or go on after a stop."],
  ["pause", "Pause", "Pause at the end of the current round. Nothing is lost; Resume goes on."],
  ["pause_now", "Pause now", "Give the current attempt up and pause. Updates that have arrived count in the next attempt; sites stop training. Resume goes on."],
  ["resume", "Resume", "Go on after a pause, or take a pause back that has not come yet."],
  ["stop", "Stop", "Give the current attempt up and end the task's work for everybody. Sites stop training; a pause would not. Only Start goes on."],
];

// fits says which commands make sense; the aggregator decides.
function fits(op, t) {
  if (!t?.phase || t.reason === "finished" || asOf() || (store.owner.known && !store.owner.online)) return false;
  const halted = t.phase === "halted";
  const paused = halted && t.reason === "paused";
  switch (op) {
    case "start": return t.phase === "idle" || (halted && !paused);
    case "resume": return paused || pausing(t);
    case "pause": return !halted && !pausing(t);
    case "stop": return !halted || paused;
    default: return !halted;
  }
}

let asked = null;
let opener = null;

export function initCommands() {
  for (const [op, name] of commands) {
    const b = el("button", { type: "button", "data-op": op, class: op === "stop" ? "danger" : null }, name);
    b.addEventListener("click", () => open(op, b));
    $("commands").append(b);
  }
  $("ask").querySelector("form").addEventListener("submit", (e) => { e.preventDefault(); send(); });
  $("ask-no").addEventListener("click", () => $("ask").close());
  $("ask").addEventListener("close", () => opener?.focus());
}

export function renderCommands() {
  for (const b of $("commands").children) b.disabled = !fits(b.dataset.op, task());
}

function open(op, button) {
  const [, name, what] = commands.find((c) => c[0] === op);
  asked = { op, name, task: store.current };
  opener = button;
  text($("ask-title"), `${name} ${asked.task}?`);
  text($("ask-text"), what);
  text($("ask-yes"), name);
  $("ask-yes").className = op === "stop" ? "primary danger" : "primary";
  $("ask-error").hidden = true;
  const token = sessionStorage.getItem("fedmq-token");
  $("ask-token-label").hidden = Boolean(token);
  $("ask-token").value = token ?? "";
  $("ask").showModal();
  (token ? $("ask-no") : $("ask-token")).focus();
}

async function send() {
  const token = $("ask-token").value.trim();
  $("ask-yes").disabled = true;
  try {
    const answer = await fetch("/api/command", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Fedmq-Token": token },
      body: JSON.stringify({ task: asked.task, command: asked.op }),
    });
    const said = await answer.json();
    if (answer.ok) {
      sessionStorage.setItem("fedmq-token", token);
      $("ask").close();
      toast(`${asked.task}: ${said.answer}`);
      return;
    }
    if (answer.status === 401) {
      sessionStorage.removeItem("fedmq-token");
      $("ask-token-label").hidden = false;
    }
    fail(said.error);
  } catch {
    fail("The dashboard does not answer.");
  } finally {
    $("ask-yes").disabled = false;
  }
}

function fail(why) {
  text($("ask-error"), why);
  $("ask-error").hidden = false;
}
