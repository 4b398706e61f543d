// <voice-agent>: attributes in, `voice-agent:…` events out, methods on the element and on window.VoiceAgent.
import { Call } from "./call.js";
import { drawing, make, Panel } from "./panel.js";
import { STYLE } from "./style.js";
import { WORDS } from "./words.js";

const TAG = document.currentScript;
const BASE = new URL(TAG.src);
const METER_MS = 60;
const LOOKS = [["placement", "bottom-end", "bottom-start", "top-end", "top-start"], ["theme", "light", "dark"]]; // read by the style alone
const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

class VoiceAgent extends HTMLElement {
  connectedCallback() {
    if (this.call) return;
    const key = this.getAttribute("agent");
    if (!key) return console.warn("voice-agent: the attribute agent is missing");
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    const url = new URL("/ws/widget/", BASE);
    url.protocol = BASE.protocol === "https:" ? "wss:" : "ws:";
    this.call = new Call(key, url.href);
    this.variant = this.choice("variant", ["launcher", "inline", "headless"]);
    this.build(root);
    this.listen();
    this.call.comeBack().then((isBack) => isBack && this.variant === "launcher" && this.open());
  }

  disconnectedCallback() {
    setTimeout(() => !this.isConnected && this.call?.end());
  }

  choice(name, allowed) {
    const value = this.getAttribute(name);
    if (value && !allowed.includes(value)) console.warn(`voice-agent: ${name}="${value}" is unknown; it takes ${allowed.join(", ")}`);
    return allowed.includes(value) ? value : allowed[0];
  }

  build(root) {
    const isLauncher = this.variant === "launcher";
    const label = this.getAttribute("label") || WORDS.talk;
    const hasCaptions = this.choice("captions", ["on", "off"]) === "on";
    this.panel = new Panel(this, { isLauncher, hasCaptions, title: this.getAttribute("label") || WORDS.title });
    for (const [name, ...allowed] of LOOKS) this.choice(name, allowed);
    if (this.choice("consent", ["notice", "none"]) === "none") this.panel.notice.hidden = true;
    if (isLauncher) {
      this.launcher = make("button", { class: "launcher", type: "button", part: "launcher", "aria-label": WORDS.open, "aria-expanded": "false", onclick: () => this.open() }, drawing("talk"), make("span", { text: label }));
      root.append(this.launcher);
      this.panel.root.hidden = true;
      root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    }
    root.append(this.panel.root);
  }

  listen() {
    const { call, panel } = this;
    const on = (type, run) => call.addEventListener(type, ({ detail }) => run(detail));
    const emit = (type, detail) => this.dispatchEvent(new CustomEvent(`voice-agent:${type}`, { detail, bubbles: true, composed: true }));
    on("state", ({ state }) => {
      panel.show(state, call.isLive);
      this.meter(call.isLive);
      emit("state", { state });
    });
    on("resumed", () => { if (call.isReturning) panel.clear(); this.replayUntil = performance.now() + 700; });
    on("transcript", (line) => { panel.caption(line, performance.now() < this.replayUntil); emit("transcript", { role: line.role, text: line.text, final: line.final }); });
    on("interrupted", (detail) => { panel.interrupted(detail); emit("interrupted", { heard: detail.heard }); });
    on("muted", ({ muted }) => panel.showMuted(muted));
    on("captions", ({ lost }) => panel.showSub(lost ? WORDS.captionsLost : ""));
    on("refused", ({ text }) => panel.showSub(text));
    on("silent", () => { panel.hear.hidden = false; });
    on("error", (detail) => {
      if (detail.code === "origin") console.warn(`voice-agent: ${location.origin} is not among the origins of the key ${call.key}; they are set in the admin, under Widget keys`);
      panel.showError(detail.text, detail.code.includes("mic") || detail.code === "insecure");
      emit("error", detail);
    });
    for (const type of ["connected", "latency", "handoff", "ended"]) on(type, (detail) => emit(type, detail));
  }

  meter(isOn) {
    clearInterval(this.levels);
    this.panel.level(0);
    if (!isOn) return;
    this.levels = setInterval(() => {
      const { ears, isMuted, state } = this.call;
      this.panel.level(state === "speaking" || state === "human" ? Math.max(ears.heard, isMuted ? 0 : ears.own) : isMuted ? 0 : ears.own);
    }, METER_MS);
  }

  open() {
    this.panel.root.hidden = false;
    this.launcher.hidden = true;
    this.panel.startButton.focus();
  }

  close() {
    if (!this.launcher || this.call.isLive) return;
    this.panel.root.hidden = true;
    this.launcher.hidden = false;
    this.launcher.focus();
  }

  // ------------------------------------------------------------------------------------------------- methods

  async start({ variables } = {}) {
    return this.begin(variables, true);
  }

  async startTyping() {
    await this.begin(undefined, false);
    this.panel.toggleTyping(true);
  }

  async begin(variables, speak) {
    const config = { variables: variables || readVariables(this.getAttribute("variables")) };
    const event = new CustomEvent("voice-agent:call", { detail: config, bubbles: true, composed: true, cancelable: true });
    if (!this.dispatchEvent(event)) return;
    checkVariables(config.variables);
    this.panel.clear();
    await this.call.start(config.variables, speak);
  }

  async end() { this.call.end(); }
  async mute(isMuted = true) { this.call.mute(Boolean(isMuted)); }
  toggleMute() { this.call.mute(!this.call.isMuted); }
  sendText(text) { return this.call.sendText(text); }
  hear() {
    this.panel.hear.hidden = true;
    this.call.audio.play().catch(() => {});
  }
  getState() { return { state: this.call.state, muted: Boolean(this.call.isMuted), callId: this.call.call || null }; }
}

function readVariables(text) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("voice-agent: variables is not JSON");
  }
}

function checkVariables(variables) {
  if (variables === undefined) return;
  const entries = Object.entries(variables);
  if (entries.length > 50) throw new Error("voice-agent: at most 50 variables");
  for (const [name, value] of entries) {
    if (name.length > 64 || typeof value !== "string" || value.length > 2000) throw new Error(`voice-agent: variable ${name.slice(0, 64)} must be text of at most 2000 characters under a name of at most 64`);
  }
}

if (!customElements.get("voice-agent")) customElements.define("voice-agent", VoiceAgent);

const one = () => document.querySelector("voice-agent");
window.VoiceAgent = {
  start: (options) => one().start(options), end: () => one().end(), mute: (isMuted) => one().mute(isMuted),
  sendText: async (text) => one().sendText(text), getState: async () => one().getState(),
  words: (own) => Object.assign(WORDS, own),
};

if (TAG.dataset.agent) {
  const mount = () => {
    const element = document.createElement("voice-agent");
    element.setAttribute("agent", TAG.dataset.agent);
    for (const name of ["variant", "placement", "label", "theme", "captions", "consent", "variables", "lang"]) {
      if (TAG.dataset[name]) element.setAttribute(name, TAG.dataset[name]);
    }
    document.body.append(element);
  };
  if (document.body) mount();
  else addEventListener("DOMContentLoaded", mount);
}
