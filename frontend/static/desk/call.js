// One call, live and after: the same page from the same events.

import { Actions } from "./actions.js";
import { el, icon, pageData, setAttribute, setText } from "./dom.js";
import { CallFold } from "./fold.js";
import { cause, clock, duration, slotValue, stepName } from "./format.js";
import { onKeys } from "./keys.js";
import { DeskSocket, showLink } from "./socket.js";
import { Transcript } from "./transcript.js";
import { Waterfall } from "./waterfall.js";

const data = pageData();
const byId = (id) => document.getElementById(id);
const fold = new CallFold();
for (const event of data.events) fold.take(event, false);
let row = data.row;

const socket = new DeskSocket(data.socket);
const page = { socket, user: data.user, permissions: data.permissions, iceServers: data.ice_servers, targets: data.targets };
showLink(socket, byId("notice"));
const actions = new Actions(byId("actions"), page, () => row);
const transcript = new Transcript(byId("lines"));
transcript.jump = byId("jump");
transcript.jump.addEventListener("click", () => { byId("scroller").scrollTop = byId("scroller").scrollHeight; });
const waterfall = new Waterfall(byId("waterfall"), { onSelect: (turn) => showTurn(turn.turn) });

if (row.state !== "ended") socket.open(data.call, () => fold.seq);
socket.on("snap", (message) => takeRow(message.rows[data.call]));
socket.on("frame", (message) => takeRow(message.rows?.[data.call]));
socket.on("events", (message) => {
  if (message.call !== data.call) return;
  for (const event of message.ev) fold.take(event, true);
  paint();
});
socket.on("partial", (message) => {
  if (message.call !== data.call) return;
  fold.partial(message);
  transcript.render(fold);
});
for (const type of ["up", "down"]) socket.on(type, () => actions.render());

function takeRow(patch) {
  if (!patch) return;
  row = { ...row, ...patch };
  paint();
}

function paint() {
  if (fold.ended) row = { ...row, state: "ended", ended_us: fold.ended.at_us };
  transcript.render(fold);
  waterfall.render(fold);
  paintHead();
  paintState();
  paintPeople();
  paintAudit();
  actions.render();
}

function paintHead() {
  const shown = data.states[row.state] || { word: row.state, icon: "dots" };
  const state = byId("state");
  setAttribute(state, "data-state", row.state);
  if (state.dataset.icon !== shown.icon) {
    state.dataset.icon = shown.icon;
    state.replaceChildren(icon(shown.icon), el("span"));
  }
  setText(state.lastChild, row.state === "ended" && fold.ended ? `Ended: ${cause(fold.ended.cause, fold.far)}` : shown.word);
  const chip = byId("why");
  const words = row.controller && row.state !== "ended" ? `${row.controller} has it` : row.why;
  chip.hidden = !words;
  setText(chip.lastElementChild, words);
  tick();
}

function tick() {
  const from = row.answered_us || row.started_us || fold.start?.at_us;
  if (from) setText(byId("timer"), duration(((row.ended_us || Date.now() * 1000) - from) / 1e6));
}

function paintState() {
  const steps = fold.steps.slice(-4).map((step, i, all) => el("li", { "aria-current": i === all.length - 1 ? "step" : null },
    el("b", { text: stepName(step.step) }), el("span", { class: "faint clip", text: stepName(step.because) })));
  replaceIfNew(byId("steps"), steps.length ? steps : [el("li", { class: "faint", text: "No step yet" })], `${fold.steps.length}`);
  const slots = [...fold.slots].flatMap(([name, value]) => [el("dt", { text: stepName(name) }), el("dd", { text: slotValue(value) })]);
  replaceIfNew(byId("slots"), slots.length ? slots : [el("dd", { class: "faint", text: "Nothing known yet" })], JSON.stringify([...fold.slots]));
}

function paintPeople() {
  const isOver = row.state === "ended";
  const legs = new Map(fold.legs);
  if (fold.start?.agent && !legs.has("agent")) legs.set("agent", { role: "agent" });
  const people = isOver ? [] : [...legs].filter(([, leg]) => leg.role !== "caller" || leg.codec).map(([id, leg]) => {
    const name = leg.who || { caller: fold.far.name, agent: "Agent", target: row.transfer?.name || "Third party" }[leg.role] || id;
    const does = doing(id, leg);
    const symbol = { caller: "phone", agent: "waves", supervisor: "person", target: "person" }[leg.role];
    return el("li", { "data-state": fold.floor === id && leg.role !== "agent" ? "human" : null }, icon(symbol), el("b", { class: "clip", text: name }), el("span", { class: "quiet clip", text: does }));
  });
  replaceIfNew(byId("people"), people.length ? people : [el("li", { class: "faint", text: "Nobody is on the call any more" })],
    JSON.stringify([[...fold.legs], fold.floor, isOver, row.transfer]));
  const quality = fold.quality;
  const media = byId("media");
  media.parentElement.hidden = !quality;
  if (quality) {
    const facts = [["MOS", quality.mos.toFixed(2)], ["Jitter", `${Math.round(quality.jitter_ms)} ms`], ["Loss", `${quality.loss_pct.toFixed(1)} %`]];
    replaceIfNew(media, facts.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { class: "num", text: value })]), JSON.stringify(quality));
  }
}

// What somebody on the call does at the moment, in words.
function doing(id, leg) {
  const consults = row.transfer?.stage === "consulting";
  if (consults && leg.role === "caller") return "waits";
  if (consults && fold.floor === id) return "speaks with the third party";
  if (fold.floor === id) return leg.role === "agent" ? "has the floor" : `speaks to ${fold.far.the}`;
  if (leg.listening) return "listens";
  if (leg.role === "agent") return "silent, goes on listening";
  return leg.codec || "is being called";
}

function paintAudit() {
  const items = fold.audit.slice().reverse().map((entry) => el("li", {}, el("time", { class: "num faint", text: entry.at_us ? clock(entry.at_us) : "" }), el("span", { text: entry.text })));
  replaceIfNew(byId("audit"), items, `${fold.audit.length}`);
}

function replaceIfNew(box, children, stamp) {
  if (box.dataset.stamp === stamp) return;
  box.dataset.stamp = stamp;
  box.replaceChildren(...children);
}

function showTurn(turn) {
  waterfall.render(fold);
  const line = byId("lines").querySelector(`[data-role="caller"][data-turn="${turn}"]`);
  if (!line) return;
  line.scrollIntoView({ block: "center" });
  line.classList.add("found");
  setTimeout(() => line.classList.remove("found"), 1200);
}

setInterval(() => {
  if (row.state !== "ended") tick();
}, 1000);
setInterval(() => {
  if (!document.hidden && fold.lines.some((line) => line.playing)) transcript.render(fold);
}, 120);
onKeys(() => actions, { Escape: () => location.assign("/"), "/": () => location.assign("/history/?focus=1") });
paint();
