// Light, dark, or as the system says.

import { $, text } from "./dom.js";

const themes = ["auto", "light", "dark"];

export function initTheme(changed) {
  let theme = localStorage.getItem("fedmq-theme");
  if (!themes.includes(theme)) theme = "auto";
  const show = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    text($("theme"), `Theme: ${theme}`);
    changed();
  };
  $("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    localStorage.setItem("fedmq-theme", theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}
