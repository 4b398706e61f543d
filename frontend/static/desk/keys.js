// Single keys, never in an input, and they can all be switched off (WCAG 2.1.4).

import { showKeys } from "./dialogs.js";

const STORE = "desk-keys";
const PAIR_MS = 900;
const PLACES = { l: "/", h: "/history/" };

export function onKeys(actions, extra = {}) {
  let after = 0;
  const press = (button) => button && !button.hidden && button.click();
  const table = {
    l: () => press(actions()?.listenButton), t: () => press(actions()?.takeButton), h: () => press(actions()?.backButton), x: () => press(actions()?.transferButton),
    m: () => press(actions()?.muteButton), E: () => press(actions()?.endButton), ...extra,
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [contenteditable]")) return;
    if (event.key === "?") return void showKeys(isOn(), (on) => localStorage.setItem(STORE, on ? "on" : "off"));
    if (!isOn()) return;
    if (after && event.timeStamp - after < PAIR_MS && PLACES[event.key]) return location.assign(PLACES[event.key]);
    after = event.key === "g" ? event.timeStamp : 0;
    const run = table[event.key];
    if (!run || (event.key === "Enter" && event.target.closest("a, button"))) return;
    event.preventDefault();
    run();
  });
}

function isOn() {
  return localStorage.getItem(STORE) !== "off";
}
