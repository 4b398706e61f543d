// The live list: rows are merged on receipt and painted once per frame, only those on screen, only what differs.

import { el, icon, setAttribute, setText } from "./dom.js";
import { duration, ms, pace, stepName } from "./format.js";

const GROWING_CHARACTERS = 26;

// Of words that grow, the newest must not be the ones cut off.
function newest(text) {
  if (text.length <= GROWING_CHARACTERS) return text;
  const tail = text.slice(-GROWING_CHARACTERS);
  return `…${tail.slice(tail.indexOf(" ") + 1)}`;
}

export class Rows {
  constructor(body, states, { onSelect, onOpen }) {
    this.body = body;
    this.states = states;
    this.onSelect = onSelect;
    this.onOpen = onOpen;
    this.rows = new Map();
    this.order = [];
    this.nodes = new Map();
    this.dirty = new Set();
    this.visible = new Set();
    this.selected = null;
    this.watcher = new IntersectionObserver((entries) => this.noticeVisible(entries), { rootMargin: "200px" });
    body.addEventListener("click", (event) => this.onClick(event));
    body.addEventListener("focusin", (event) => this.onFocus(event.target.closest("tr")?.dataset.call));
    body.addEventListener("dblclick", (event) => this.onOpen(event.target.closest("tr")?.dataset.call));
    for (const type of ["pointerleave", "focusout"]) body.addEventListener(type, () => this.plan());
    setInterval(() => this.tick(), 1000);
  }

  replace(rows, order) {
    this.rows = new Map(Object.entries(rows));
    this.order = order;
    this.isReplaced = true;
    for (const id of this.rows.keys()) this.dirty.add(id);
    this.plan();
  }

  merge({ rows = {}, gone = [], order }) {
    for (const [id, patch] of Object.entries(rows)) {
      const known = this.rows.get(id);
      if (known) Object.assign(known, patch);
      else {
        this.rows.set(id, patch);
        if (!this.order.includes(id)) this.order.unshift(id);
      }
      this.dirty.add(id);
    }
    for (const id of gone) this.rows.delete(id);
    if (order) this.order = order;
    this.plan();
  }

  plan() {
    if (this.planned) return;
    this.planned = true;
    // A hidden tab gets no animation frames; the rows are merged anyway and painted when it is seen again.
    requestAnimationFrame(() => {
      this.planned = false;
      this.paint();
    });
  }

  paint() {
    this.arrange();
    for (const id of this.dirty) {
      const node = this.nodes.get(id);
      if (node && (this.visible.has(id) || !node.dataset.painted)) {
        this.write(node, this.rows.get(id));
        this.dirty.delete(id);
      } else if (!node) this.dirty.delete(id);
    }
    this.onPaint?.();
  }

  // Rows never move under the pointer or the focus; new ones appear, gone ones go.
  arrange() {
    for (const [id, node] of this.nodes) {
      if (this.rows.has(id)) continue;
      this.watcher.unobserve(node);
      node.remove();
      this.nodes.delete(id);
      this.visible.delete(id);
    }
    if (this.isReplaced) {
      this.isReplaced = false;
      for (const node of [...this.body.children]) if (!this.nodes.has(node.dataset.call)) node.remove();
    }
    const isHeld = this.body.matches(":hover") || this.body.contains(document.activeElement);
    const ids = this.order.filter((id) => this.rows.has(id));
    ids.forEach((id, i) => {
      const isNew = !this.nodes.has(id);
      const node = this.nodes.get(id) || this.create(id);
      if ((isNew || !isHeld) && this.body.children[i] !== node) this.body.insertBefore(node, this.body.children[i] || null);
    });
    this.keepStop();
  }

  // Exactly one row is reached by Tab, also when the one that was is gone.
  keepStop() {
    const stop = this.nodes.get(this.selected) || this.body.firstElementChild;
    for (const node of this.nodes.values()) if (node.tabIndex !== (node === stop ? 0 : -1)) node.tabIndex = node === stop ? 0 : -1;
  }

  create(id) {
    const cell = (name, ...children) => el("td", { class: name }, ...children);
    const node = el("tr", { "data-call": id, tabindex: "-1" },
      cell("c-state", el("span", { class: "state" }, icon("dots"), el("span"))),
      cell("c-caller", el("a", { class: "clip", tabindex: "-1", href: `/calls/${id}/` })),
      cell("c-agent", el("span", { class: "clip" }), el("span", { class: "step clip faint" })),
      cell("c-last", el("span", { class: "clip" })),
      cell("c-answer num", el("span")),
      cell("c-time num"),
      cell("c-why"),
      cell("c-ears"));
    this.nodes.set(id, node);
    this.watcher.observe(node);
    this.dirty.add(id);
    return node;
  }

  write(node, row) {
    node.dataset.painted = "1";
    setAttribute(node, "data-state", row.state);
    setAttribute(node, "aria-selected", String(row.id === this.selected));
    const [state, caller, agent, last, answer, time, why, ears] = node.children;
    const shown = this.states[row.state] || { word: row.state, icon: "dots" };
    if (state.dataset.icon !== shown.icon) {
      state.dataset.icon = shown.icon;
      state.firstChild.firstChild.replaceWith(icon(shown.icon));
    }
    setText(state.firstChild.lastChild, shown.word);
    setText(caller.firstChild, row.caller);
    setText(agent.firstChild, row.agent || row.called);
    setText(agent.lastChild, stepName(row.step));
    setText(last.firstChild, row.last ? (row.last.partial ? newest(row.last.text) : row.last.text) : "");
    setAttribute(last, "data-role", row.last ? row.last.role : null);
    setAttribute(last, "data-partial", row.last?.partial ? "1" : null);
    setText(answer.firstChild, ms(row.answer_ms));
    setAttribute(answer, "data-pace", pace(row.answer_ms));
    setText(time, this.age(row));
    this.writeChip(why, row);
    this.writeEars(ears, row);
  }

  writeChip(cell, row) {
    const words = row.controller ? `${row.controller} has it` : row.why;
    const stamp = `${words}`;
    if (cell.dataset.stamp === stamp) return;
    cell.dataset.stamp = stamp;
    const tone = row.controller || row.why === "wants a person" ? "human" : "degraded";
    cell.replaceChildren(...(words ? [el("span", { class: "chip", "data-tone": tone }, icon(tone === "human" ? "person" : "triangle"), el("span", { class: "clip", text: words }))] : []));
  }

  writeEars(cell, row) {
    const names = row.listeners.join(", ");
    if (cell.dataset.stamp === names) return;
    cell.dataset.stamp = names;
    cell.replaceChildren(...(names ? [el("span", { class: "ears num", title: `Listening: ${names}` }, icon("ear"), el("span", { text: row.listeners.length }))] : []));
  }

  age(row) {
    const from = row.answered_us || row.started_us;
    return from ? duration(((row.ended_us || Date.now() * 1000) - from) / 1e6) : "";
  }

  tick() {
    for (const id of this.visible) {
      const row = this.rows.get(id);
      const node = this.nodes.get(id);
      if (row && node) setText(node.children[5], this.age(row));
    }
  }

  noticeVisible(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.visible.add(target.dataset.call);
      else this.visible.delete(target.dataset.call);
    }
    if (this.dirty.size) this.plan();
  }

  onClick(event) {
    const node = event.target.closest("tr");
    if (!node || event.target.closest("a")) return;
    this.select(node.dataset.call, true);
  }

  onFocus(id) {
    if (id && id !== this.selected) this.select(id);
  }

  select(id, focus = false) {
    const before = this.nodes.get(this.selected);
    if (before) setAttribute(before, "aria-selected", "false");
    this.selected = id;
    this.keepStop();
    const node = this.nodes.get(id);
    if (node) {
      setAttribute(node, "aria-selected", "true");
      if (focus) node.focus({ preventScroll: false });
    }
    this.onSelect(this.rows.get(id));
  }

  move(by) {
    const ids = [...this.body.children].map((node) => node.dataset.call);
    const at = ids.indexOf(this.selected);
    const next = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
    if (next) this.select(next, true);
  }
}
