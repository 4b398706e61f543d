// The live list and the preview of the selected call.

import { Actions } from "./actions.js";
import { el, icon, pageData, setAttribute, setText } from "./dom.js";
import { CallFold } from "./fold.js";
import { localTimes, stepName } from "./format.js";
import { onKeys } from "./keys.js";
import { Rows } from "./rows.js";
import { DeskSocket, showLink } from "./socket.js";
import { Transcript } from "./transcript.js";
import { setFigure, spark, Waterfall } from "./waterfall.js";

const TAIL = 8;
const SUMMARY_MS = 5000;

const data = pageData();
const byId = (id) => document.getElementById(id);
const socket = new DeskSocket(data.socket);
const page = { socket, user: data.user, permissions: data.permissions, iceServers: data.ice_servers };
showLink(socket, byId("notice"));

localTimes(document);
const rows = new Rows(byId("rows"), data.states, { onSelect: preview, onOpen: openPage });
const actions = new Actions(byId("actions"), page, () => rows.rows.get(rows.selected));
const transcript = new Transcript(byId("tail"), { tail: TAIL });
const waterfall = new Waterfall(byId("waterfall"));
let fold = new CallFold();

socket.on("snap", (message) => {
  rows.replace(message.rows, message.order);
  showSum(message.sum);
});
socket.on("frame", (message) => {
  rows.merge(message);
  if (message.sum) showSum(message.sum);
});
socket.on("events", (message) => {
  if (message.call !== socket.opened?.call) return;
  const isLive = fold.seq > 0;
  for (const event of message.ev) fold.take(event, isLive);
  paintPreview();
});
socket.on("partial", (message) => {
  if (message.call !== socket.opened?.call) return;
  fold.partial(message);
  paintPreview();
});
for (const type of ["up", "down"]) socket.on(type, () => actions.render());

rows.onPaint = () => {
  byId("empty").hidden = rows.rows.size > 0;
  byId("list").hidden = rows.rows.size === 0;
  if (!rows.rows.has(rows.selected)) {
    const first = rows.order.find((id) => rows.rows.has(id));
    if (first && wide.matches) rows.select(first);
    else if (!first) preview(null);
  }
  paintHeader(rows.rows.get(rows.selected));
};

const wide = matchMedia("(min-width: 1000px)");

function openPage(id) {
  if (id) location.assign(`/calls/${id}/`);
}

function preview(row) {
  if (!row) {
    socket.closeCall();
    byId("preview").hidden = true;
    return;
  }
  if (!wide.matches) return;
  byId("preview").hidden = false;
  if (socket.opened?.call !== row.id) {
    fold = new CallFold();
    transcript.clear();
    transcript.atEnd = true;
    waterfall.stamp = null;
    socket.open(row.id, () => fold.seq);
  }
  paintPreview();
}

function paintPreview() {
  transcript.render(fold);
  waterfall.render({ turns: fold.turns.slice(-1), far: fold.far });
  transcript.stick();
  paintHeader(rows.rows.get(rows.selected));
}

function paintHeader(row) {
  if (!row) return;
  const shown = data.states[row.state] || { word: row.state, icon: "dots" };
  const state = byId("preview-state");
  setAttribute(state, "data-state", row.state);
  if (state.dataset.icon !== shown.icon) {
    state.dataset.icon = shown.icon;
    state.replaceChildren(icon(shown.icon), el("span"));
  }
  setText(state.lastChild, shown.word);
  setText(byId("preview-caller"), row.caller);
  setText(byId("preview-agent"), [row.agent && `${row.agent} v${row.version}`, stepName(row.step)].filter(Boolean).join(" · "));
  byId("preview-open").href = `/calls/${row.id}/`;
  actions.render();
}

function showSum(sum) {
  for (const box of document.querySelectorAll("[data-figure]")) {
    const name = box.dataset.figure;
    setFigure(box.querySelector(".value"), sum[name], name === "mos" ? 2 : 0);
    if (sum.history) spark(box.querySelector(".spark"), sum.history[name] || []);
    setAttribute(box, "data-alert", name === "attention" && sum[name] > 0 ? "1" : null);
  }
  latest = sum;
}

// One line for screen readers instead of a talking table.
let latest = null;
let spoken = "";
setInterval(() => {
  if (!latest) return;
  const { live, attention } = latest;
  const words = `${live} live ${live === 1 ? "call" : "calls"}, ${attention} ${attention === 1 ? "needs" : "need"} attention`;
  if (words !== spoken) setText(byId("summary"), (spoken = words));
}, SUMMARY_MS);

// Agent lines grow while they are spoken; nothing else needs a clock.
setInterval(() => {
  if (!document.hidden && fold.lines.at(-1)?.playing) transcript.render(fold);
}, 120);

onKeys(() => actions, {
  j: () => rows.move(1), k: () => rows.move(-1), ArrowDown: () => rows.move(1), ArrowUp: () => rows.move(-1),
  Enter: () => openPage(rows.selected), "/": () => location.assign("/history/?focus=1"),
});
