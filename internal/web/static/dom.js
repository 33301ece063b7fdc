// Elements and texts. Whatever arrives becomes text, never markup: there is no
// innerHTML here, and the page's policy forbids it.

export const $ = (id) => document.getElementById(id);

// el makes an element: el("td", {class: "num"}, "text", child ...).
export function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (v !== undefined && v !== null && v !== false) e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

// text and attr change only what differs, so that nothing is laid out in vain.
export function text(e, s) {
  s = String(s);
  if (e.textContent !== s) e.textContent = s;
}

export function attr(e, name, value) {
  if (value === null || value === undefined || value === false) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
  } else if (e.getAttribute(name) !== String(value)) {
    e.setAttribute(name, value);
  }
}

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// number shows four significant digits.
export function number(v) {
  if (v === undefined || v === null) return "–";
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (a >= 1e7 || a < 1e-4) return v.toExponential(2);
  if (Number.isInteger(v)) return v.toLocaleString("en");
  return v.toLocaleString("en", { maximumSignificantDigits: 4 });
}

export function bytes(v) {
  if (!v) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (v >= 1000 && i < units.length - 1) { v /= 1000; i++; }
  return `${v.toFixed(v < 10 && i > 0 ? 1 : 0)} ${units[i]}`;
}

// span shows a duration in milliseconds by its two largest units at most.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60 ? (s % 60) + " s" : ""}`.trim();
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);

let toastTimer = 0;

// toast says something for some seconds.
export function toast(s) {
  const t = $("toast");
  text(t, s);
  t.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { t.hidden = true; }, 8000);
}
