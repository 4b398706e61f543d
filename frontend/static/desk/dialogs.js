// Small questions. Destructive ones name the caller and put the focus on Cancel.

import { el } from "./dom.js";

function show(dialog, first) {
  document.body.append(dialog);
  dialog.showModal();
  first.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

// Resolves to the text ("" if left empty), or null if cancelled.
export async function ask({ title, label, yes, hint, required = false }) {
  const input = el("input", { type: "text", maxlength: 500, autocomplete: "off", required });
  const dialog = el("dialog", { "aria-label": title },
    el("form", { method: "dialog" }, el("h2", { text: title }),
      el("label", { class: "field" }, el("span", { text: label }), input, hint ? el("span", { class: "hint", text: hint }) : null),
      el("div", { class: "buttons" },
        el("button", { class: "button", value: "no", formnovalidate: true, type: "button", onclick: () => dialog.close("no") }, "Cancel"),
        el("button", { class: "button primary", value: "yes", text: yes }))));
  return (await show(dialog, input)) === "yes" ? input.value.trim() : null;
}

export async function confirmEnd(caller) {
  const cancel = el("button", { class: "button", value: "no", text: "Cancel" });
  const dialog = el("dialog", { "aria-label": "End call" },
    el("form", { method: "dialog" }, el("h2", { text: `End the call with ${caller}?` }),
      el("p", { class: "quiet", text: "The caller is cut off at once. To leave without ending it, stop listening or hand back." }),
      el("div", { class: "buttons" }, cancel, el("button", { class: "button danger primary", value: "yes", text: "End call" }))));
  return (await show(dialog, cancel)) === "yes";
}

const KEYS = [
  ["J K", "Move down and up"], ["Enter", "Open the call"], ["L", "Listen on and off"], ["T", "Take over"], ["H", "Hand back"],
  ["M", "Mute yourself"], ["Shift E", "End the call"], ["/", "Filter"], ["G L", "Live"], ["G H", "History"], ["Esc", "Back"], ["?", "This sheet"],
];

export async function showKeys(isOn, toggle) {
  const box = el("input", { type: "checkbox" });
  box.checked = isOn;
  box.addEventListener("change", () => toggle(box.checked));
  const close = el("button", { class: "button primary", value: "no", text: "Close" });
  const dialog = el("dialog", { "aria-label": "Keyboard" },
    el("form", { method: "dialog" }, el("h2", { text: "Keyboard" }),
      el("div", { class: "keys" }, KEYS.flatMap(([keys, what]) => [
        el("span", {}, keys.split(" ").map((key) => el("kbd", { text: key }))), el("span", { text: what })])),
      el("label", { class: "switch" }, box, " Single keys are on"), el("div", { class: "buttons" }, close)));
  await show(dialog, close);
}
