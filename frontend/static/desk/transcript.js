// The conversation as it was heard. What a barge-in cut off is struck through; words still to be spoken are pale.

import { calm, el, icon, setText } from "./dom.js";
import { duration } from "./format.js";

const CHARACTERS_PER_S = 15.5;
const NAMES = { agent: "Agent", supervisor: "Supervisor", target: "Third party" };
const ICONS = { caller: "phone", agent: "waves", supervisor: "person", target: "person" };

export class Transcript {
  constructor(list, { onTurn, tail = 0 } = {}) {
    this.list = list;
    this.onTurn = onTurn;
    this.tail = tail;
    this.nodes = new Map();
    this.live = new Map();
    this.atEnd = true;
    this.scroller = list.closest("[data-scroll]") || list;
    this.scroller.addEventListener("scroll", () => this.noticeScroll());
  }

  noticeScroll() {
    const box = this.scroller;
    this.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    if (this.jump) this.jump.hidden = this.atEnd;
  }

  clear() {
    this.nodes.clear();
    this.live.clear();
    this.list.replaceChildren();
  }

  render(fold) {
    const lines = this.tail ? fold.lines.slice(-this.tail) : fold.lines;
    this.far = fold.far;
    this.before = null;
    for (const line of lines) {
      let node = this.nodes.get(line.id);
      if (!node) {
        node = line.kind === "divider" ? this.divider(line) : this.said(line);
        this.nodes.set(line.id, node);
        const growing = this.live.values().next().value;
        if (growing) growing.before(node);
        else this.list.append(node);
      }
      if (line.kind === "said") this.write(node, line);
      this.before = line;
    }
    if (this.tail) this.trim(lines);
    this.renderPartials(fold.partials);
    this.stick();
  }

  // Also after something beside the list changed its height.
  stick() {
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  trim(lines) {
    const kept = new Set(lines.map((line) => line.id));
    for (const [id, node] of this.nodes) {
      if (kept.has(id)) continue;
      node.remove();
      this.nodes.delete(id);
    }
  }

  divider(line) {
    const node = el("li", { class: "divider", "data-state": line.tone }, el("span", { text: line.text }));
    if (line.note) node.append(el("q", { text: line.note }));
    return node;
  }

  said(line) {
    const name = line.who || (line.role === "caller" ? this.far.name : NAMES[line.role]) || line.role;
    const head = el("div", { class: "who" }, icon(ICONS[line.role] || "person"), el("b", { text: name }),
      el("span", { class: "num faint", text: line.start_s === undefined ? "" : duration(line.start_s) }));
    if (line.step) head.append(el("span", { class: "faint clip", text: line.step.replaceAll("_", " ") }));
    const goesOn = this.before && this.before.kind === "said" && this.before.role === line.role && this.before.step === line.step;
    return el("li", { class: goesOn ? "said goes-on" : "said", "data-role": line.role, "data-turn": line.turn ?? "" }, head, el("p", { class: "words" }));
  }

  write(node, line) {
    const stamp = `${line.playing}|${line.cut}|${line.heard}|${line.barge ? 1 : 0}`;
    if (node.dataset.stamp === stamp && !line.playing) return;
    node.dataset.stamp = stamp;
    const words = node.querySelector(".words");
    if (line.withheld) return setText(words, "Withheld: you may not read transcripts.");
    if (line.playing) return this.grow(words, line);
    if (!line.cut) return setText(words, line.text);
    const heard = line.heard || "";
    const rest = line.text.startsWith(heard) ? line.text.slice(heard.length) : line.text;
    if (!rest.trim()) return setText(words, line.text);
    words.replaceChildren(el("span", { text: heard }), el("del", { text: rest, title: `Not heard by ${this.far.the}` }),
      el("span", { class: "not-heard", text: "not heard" }));
    if (line.barge && !node.querySelector(".barge")) node.append(this.bargeMark(line.barge));
  }

  bargeMark(barge) {
    const stopped = barge.stop_ms === null || barge.stop_ms === undefined ? "" : `, silent after ${Math.round(barge.stop_ms)} ms`;
    return el("div", { class: "barge" }, icon("bolt"), el("span", { text: `${this.far.name} barged in${stopped}` }));
  }

  // Spoken words are dark, those still to come pale; the pace is a guess until playout reports the end.
  grow(words, line) {
    const text = line.text || "";
    const seconds = line.since === null ? Infinity : (performance.now() - line.since) / 1000;
    let spoken = calm.matches ? text.length : Math.min(text.length, Math.floor(seconds * CHARACTERS_PER_S));
    while (spoken < text.length && text[spoken] !== " ") spoken++;
    if (Number(words.dataset.spoken) === spoken) return;
    words.dataset.spoken = spoken;
    words.replaceChildren(el("span", { text: text.slice(0, spoken) }), el("span", { class: "to-come", text: text.slice(spoken) }));
  }

  renderPartials(partials) {
    for (const [role, node] of this.live) {
      if (partials.has(role)) continue;
      node.remove();
      this.live.delete(role);
    }
    for (const [role, text] of partials) {
      let node = this.live.get(role);
      if (!node) {
        node = this.said({ role, id: "live", turn: null });
        node.classList.add("partial");
        node.setAttribute("aria-hidden", "true");
        this.live.set(role, node);
        this.list.append(node);
      }
      setText(node.querySelector(".words"), text);
    }
  }
}
