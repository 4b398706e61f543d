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

// `who`: their number or name; `far`: what they are called (`farEnd`).
export async function confirmEnd(who, far) {
  const cancel = el("button", { class: "button", value: "no", text: "Cancel" });
  const dialog = el("dialog", { "aria-label": "End call" },
    el("form", { method: "dialog" }, el("h2", { text: `End the call with ${who}?` }),
      el("p", { class: "quiet", text: `${far.The} is cut off at once. To leave without ending it, stop listening or hand back.` }),
      el("div", { class: "buttons" }, cancel, el("button", { class: "button danger primary", value: "yes", text: "End call" }))));
  return (await show(dialog, cancel)) === "yes";
}

const modesOf = (far) => [
  ["blind", "Put through at once", `${far.The} hears it ring. If nobody answers, ${far.the} is back with whoever has the call now.`],
  ["attended", "Speak with them first", `You take the call, ${far.the} waits, and you decide when they are put through.`],
];

// Resolves to {to, mode, brief?}, or null if cancelled. `targets`: [{to, label}] that are suggested. `check(to)` rejects, with words for
// the person, a target that may not be called: the dialog stays open, and nothing has happened.
export async function askTransfer({ targets, check, far }) {
  const to = el("input", { type: "text", id: "transfer-to", name: "to", maxlength: 200, autocomplete: "off", required: true, list: "transfer-targets", "aria-describedby": "transfer-to-error transfer-to-hint" });
  const error = el("span", { class: "error", id: "transfer-to-error", role: "alert", hidden: true });
  const target = () => to.value.trim().replace(/[\s()]/g, "");
  const list = el("datalist", { id: "transfer-targets" }, targets.map((target) => el("option", { value: target.to, label: target.label })));
  const modes = modesOf(far).map(([value, label, hint], i) => el("label", { class: "choice" },
    el("input", { type: "radio", name: "mode", value, checked: i === 0 }), el("span", {}, el("b", { text: label }), el("span", { class: "hint", text: hint }))));
  const brief = el("input", { type: "text", maxlength: 500, autocomplete: "off" });
  const form = el("form", { method: "dialog" }, el("h2", { text: "Transfer the call" }),
    el("div", { class: "field" }, el("label", { for: "transfer-to", text: "To" }), to, error, el("span", { class: "hint", id: "transfer-to-hint", text: "A colleague’s phone or a number with country code, such as +44 20 7946 0000." })), list,
    el("fieldset", { class: "choices" }, el("legend", { text: "How" }), modes),
    el("label", { class: "field" }, el("span", { text: "Note for the record (optional)" }), brief),
    el("div", { class: "buttons" },
      el("button", { class: "button", value: "no", formnovalidate: true, type: "button", onclick: () => dialog.close("no") }, "Cancel"),
      el("button", { class: "button primary", value: "yes", text: "Transfer" })));
  const dialog = el("dialog", { "aria-label": "Transfer the call" }, form);
  const say = (words) => {
    error.textContent = words;
    error.hidden = !words;
    to.setAttribute("aria-invalid", String(Boolean(words)));
  };
  to.addEventListener("input", () => say(""));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await check(target());
      dialog.close("yes");
    } catch (refusal) {
      say(refusal.message);
      to.focus();
    }
  });
  if ((await show(dialog, to)) !== "yes") return null;
  const wish = { to: target(), mode: form.elements.mode.value };
  return brief.value.trim() ? { ...wish, brief: brief.value.trim() } : wish;
}

const KEYS = [
  ["J K", "Move down and up"], ["Enter", "Open the call"], ["L", "Listen on and off"], ["T", "Take over"], ["H", "Hand back"], ["X", "Transfer"],
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
