// What the widget shows: a button, the state in one word, growing captions, and the few controls of a call.
import { WORDS } from "./words.js";
import { ICONS } from "./style.js";

const CHARACTERS_PER_S = 15.5;
const SVG_NS = "http://www.w3.org/2000/svg";

export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") node.textContent = value;
    else if (name === "onclick") node.addEventListener("click", value);
    else if (value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function drawing(name) {
  const picture = document.createElementNS(SVG_NS, "svg");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG_NS, "path");
  path.setAttribute("d", ICONS[name]);
  picture.append(path);
  return picture;
}

export class Panel {
  constructor(does, { isLauncher, hasCaptions, title }) {
    this.does = does;
    this.hasCaptions = hasCaptions;
    this.lines = new Map();
    this.build(isLauncher, title);
    this.show("idle");
  }

  build(isLauncher, title) {
    const { does } = this;
    this.word = make("div", { class: "word", role: "status" });
    this.sub = make("div", { class: "sub" });
    this.error = make("div", { class: "err", role: "alert", hidden: "" });
    this.orb = make("button", { class: "orb", type: "button", part: "button", onclick: () => does.start() }, drawing("mic"));
    this.bars = make("span", { class: "bars", "aria-hidden": "true", part: "meter" }, ...[1, 2, 3, 4, 5].map(() => make("i")));
    this.startButton = make("button", { class: "start", type: "button", part: "button", onclick: () => does.start() });
    this.typeButton = make("button", { class: "second", type: "button", text: WORDS.typeInstead, onclick: () => does.startTyping(), hidden: "" });
    this.hear = make("button", { class: "second", type: "button", text: WORDS.hear, onclick: () => does.hear(), hidden: "" });
    this.stage = make("div", { class: "stage" }, this.orb, this.word, this.sub, this.error,
      make("div", { class: "row" }, this.startButton, this.typeButton, this.hear));
    this.log = make("ol", { class: "log", role: "log", "aria-live": "polite", "aria-label": WORDS.captions, part: "transcript", tabindex: "0", hidden: "" });
    this.foot = this.buildFoot();
    this.notice = make("p", { class: "notice", part: "notice", text: WORDS.notice });
    this.root = make("section", { class: "panel", part: "panel", "aria-label": title, tabindex: "-1" });
    if (isLauncher) {
      const close = make("button", { type: "button", "aria-label": WORDS.close, onclick: () => does.close() }, drawing("close"));
      this.root.append(make("div", { class: "head" }, make("span", { text: title }), close));
    }
    this.root.append(this.stage, this.log, make("div", {}, this.foot, this.notice));
  }

  buildFoot() {
    const { does } = this;
    const tool = (name, label, run) => make("button", { type: "button", class: name, onclick: run }, drawing(name === "mute" ? "mic" : name), make("span", { text: label }));
    this.muteButton = tool("mute", WORDS.mute, () => does.toggleMute());
    this.keysButton = tool("keys", WORDS.keyboard, () => this.toggleTyping());
    this.keysButton.setAttribute("aria-pressed", "false");
    this.input = make("input", { type: "text", maxlength: "500", placeholder: WORDS.typeHere, "aria-label": WORDS.typeHere, autocomplete: "off" });
    this.form = make("form", { hidden: "" }, this.input, make("button", { "aria-label": WORDS.send }, drawing("send")));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (does.sendText(this.input.value)) this.input.value = "";
    });
    return make("div", { class: "foot", hidden: "" }, this.form,
      make("div", { class: "tools" }, this.muteButton, this.keysButton, tool("end", WORDS.end, () => does.end())));
  }

  toggleTyping(isOn = this.form.hidden) {
    this.form.hidden = !isOn;
    this.keysButton.setAttribute("aria-pressed", String(isOn));
    if (isOn) this.input.focus();
  }

  // A control that goes hands the keyboard to the next one, not to the page.
  handOn(held) {
    if (!held || !(held === this.root ? this.isWaiting : held.closest("[hidden]"))) return;
    const next = this.foot.hidden ? this.startButton : this.muteButton;
    this.isWaiting = next.hidden;
    (next.hidden ? this.root : next).focus({ preventScroll: true });
  }

  show(state, isLive = false) {
    const held = this.root.contains(this.root.getRootNode().activeElement) && this.root.getRootNode().activeElement;
    this.root.dataset.state = state;
    this.root.classList.toggle("live", isLive);
    this.word.textContent = WORDS[state] || state;
    const canStart = !isLive && state !== "permission";
    this.orb.disabled = !canStart;
    this.orb.setAttribute("aria-label", canStart ? WORDS.talk : WORDS[state] || state);
    this.orb.replaceChildren(isLive ? this.bars : drawing("mic"));
    this.startButton.hidden = !canStart;
    this.startButton.textContent = state === "ended" ? WORDS.again : state === "error" ? WORDS.retry : WORDS.talk;
    this.sub.textContent = canStart && state !== "error" ? WORDS.hint : "";
    this.sub.hidden = !this.sub.textContent;
    this.error.hidden = state !== "error";
    if (state !== "error") this.typeButton.hidden = true;
    this.foot.hidden = !isLive;
    if (!isLive) this.hear.hidden = true;
    this.handOn(held);
  }

  showError(text, mayType) {
    this.error.textContent = text;
    this.typeButton.hidden = !mayType;
  }

  showSub(text) {
    this.sub.textContent = text;
    this.sub.hidden = !text;
  }

  showMuted(isMuted) {
    this.muteButton.setAttribute("aria-pressed", String(isMuted));
    this.muteButton.firstChild.replaceWith(drawing(isMuted ? "off" : "mic"));
    this.muteButton.lastChild.textContent = isMuted ? WORDS.unmute : WORDS.mute;
    this.showSub(isMuted ? WORDS.muted : "");
  }

  level(value) {
    this.orb.style.setProperty("--l", value.toFixed(2));
  }

  // ------------------------------------------------------------------------------------------------ captions

  clear() {
    this.lines.clear();
    this.log.replaceChildren();
    this.log.hidden = true;
  }

  caption({ role, text, final, id }, isReplay) {
    if (!this.hasCaptions) return;
    this.log.hidden = false;
    const key = final ? id : `partial-${role}`;
    if (final) this.drop(`partial-${role}`);
    let line = this.lines.get(key);
    if (!line) {
      line = { words: make("p", { part: "caption" }), text: "" };
      line.node = make("li", { class: final ? role : `${role} partial` }, make("b", { text: { caller: WORDS.you, person: WORDS.person }[role] || WORDS.agent }), line.words);
      if (this.log.lastElementChild?.classList.contains(role)) line.node.classList.add("same");
      this.lines.set(key, line);
      this.log.append(line.node);
    }
    line.text = text;
    line.isGrowing = final && role === "agent" && !isReplay && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    line.since = performance.now();
    line.words.textContent = line.isGrowing ? "" : text;
    if (line.isGrowing) this.grow();
    this.log.scrollTop = this.log.scrollHeight;
  }

  interrupted({ id, heard }) {
    const line = this.lines.get(id);
    if (!line) return;
    line.isGrowing = false;
    line.words.textContent = heard ? `${heard} …` : "…";
  }

  drop(key) {
    this.lines.get(key)?.node.remove();
    this.lines.delete(key);
  }

  // Words appear as they are spoken; the pace is a guess, the interruption is not.
  grow() {
    if (this.growing) return;
    this.growing = setInterval(() => {
      let isDone = true;
      for (const line of this.lines.values()) {
        if (!line.isGrowing) continue;
        let end = Math.floor(((performance.now() - line.since) / 1000) * CHARACTERS_PER_S);
        while (end < line.text.length && line.text[end] !== " ") end++;
        line.words.textContent = line.text.slice(0, end);
        line.isGrowing = end < line.text.length;
        isDone &&= !line.isGrowing;
      }
      this.log.scrollTop = this.log.scrollHeight;
      if (isDone) this.growing = clearInterval(this.growing);
    }, 90);
  }
}
