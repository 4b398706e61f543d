// Listen, take over, hand back, put through, end: buttons, their keys, and the audio behind them. Never optimistic.

import { el, icon, setAttribute, setText, toast } from "./dom.js";
import { Ears, micProblem } from "./ears.js";
import { ask, confirmEnd } from "./dialogs.js";
import { farEnd } from "./format.js";
import { TransferBar } from "./transfer.js";

const SLOW_MS = 300;
const TAKE_TRIES = 8;
const TAKE_PAUSE_MS = 150;

export class Actions {
  // `page`: {socket, user, iceServers, targets}; `current()` gives the row acted on.
  constructor(bar, page, current) {
    this.bar = bar;
    this.page = page;
    this.current = current;
    this.permissions = new Set(page.permissions);
    this.ears = null;
    this.call = null;
    this.onAir = false;
    this.build();
    page.socket.on("up", ({ permissions }) => { this.permissions = new Set(permissions); });
    addEventListener("beforeunload", (event) => { if (this.onAir) event.preventDefault(); });
  }

  makeButton(label, symbol, key, run, extra = "") {
    const node = el("button", { type: "button", class: `button ${extra}`, "aria-keyshortcuts": key, onclick: () => this.act(node, run) },
      icon(symbol), el("span", { text: label }));
    return node;
  }

  build() {
    const button = (name, ...rest) => (this[name] = this.makeButton(...rest));
    this.transfer = new TransferBar(this, this.page.targets || []);
    this.transferButton = this.transfer.button;
    this.meter = el("span", { class: "meter heard", role: "img", "aria-label": "What you hear" });
    this.own = el("span", { class: "meter own", role: "img", "aria-label": "Your microphone", "data-state": "human" });
    this.air = el("span", { class: "air", hidden: true }, el("b", { text: "ON AIR" }), this.own);
    this.bar.replaceChildren(
      button("listenButton", "Listen", "ear", "l", () => this.toggleListen()),
      button("takeButton", "Take over", "mic", "t", () => this.take(), "human"),
      button("backButton", "Hand back", "hand", "h", () => this.handBack(), "human"),
      button("muteButton", "Mute me", "mic", "m", () => this.toggleMute()),
      this.transferButton, this.transfer.strip,
      this.meter, this.air, el("span", { class: "gap" }),
      button("endButton", "End call", "hangup", "Shift+E", () => this.end(), "danger"));
  }

  async act(node, run) {
    if (node.disabled || node.getAttribute("aria-busy") === "true") return;
    const slow = setTimeout(() => node.setAttribute("aria-busy", "true"), SLOW_MS);
    this.busy = node;
    try {
      await run();
    } catch (error) {
      toast(error.message);
    } finally {
      clearTimeout(slow);
      node.removeAttribute("aria-busy");
      this.busy = null;
      this.render();
    }
  }

  async command(call, name, args) {
    const result = await this.page.socket.command(call, name, args);
    if (!result.ok) throw new Error(result.text);
    return result;
  }

  get listening() {
    return this.ears !== null && this.call === this.current()?.id;
  }

  async toggleListen() {
    if (this.listening) return this.stop();
    await this.listen();
  }

  async listen() {
    const row = this.current();
    if (this.ears) await this.stop();
    const ears = new Ears(this.page.iceServers, () => this.lost(ears));
    this.ears = ears;
    this.call = row.id;
    ears.onLevel = (levels) => this.showLevels(levels);
    try {
      await ears.open(async (sdp) => (await this.command(row.id, "listen", { sdp })).sdp);
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  async stop() {
    const call = this.call;
    this.drop();
    await this.command(call, "stop").catch(() => {});
  }

  lost(ears) {
    if (ears !== this.ears) return;
    this.drop();
    toast("Your audio connection was lost. The call is not affected; press Listen to hear it again.");
  }

  drop() {
    this.ears?.close();
    this.ears = null;
    this.call = null;
    this.setAir(false);
    this.showLevels({ heard: 0, own: 0 });
    this.render();
  }

  async take() {
    const row = this.current();
    if (this.onAir) return;
    let reason = "";
    if (row.controller && row.controller !== this.page.user) {
      reason = await ask({ title: `${row.controller} has this call`, label: "Why do you take it from them?", yes: "Take over", required: true });
      if (!reason) return;
    }
    if (!this.listening) await this.listen();
    try {
      await this.ears.readyToSpeak();
    } catch (error) {
      throw new Error(micProblem(error));
    }
    await this.ears.connected();
    this.takenAt = await this.takeFloor(row.id, reason ? { force_reason: reason } : {});
    await this.ears.speak();
    this.setAir(true);
  }

  // The position in the log at which we have it. The call may learn of our connection a moment after we do.
  async takeFloor(call, args) {
    for (let tries = 0; ; tries++) {
      const result = await this.page.socket.command(call, "take", args);
      if (result.ok) return result.seq ?? 0;
      if (result.code !== "illegal_transition" || tries === TAKE_TRIES) throw new Error(result.text);
      await new Promise((resolve) => setTimeout(resolve, TAKE_PAUSE_MS));
    }
  }

  async handBack() {
    const row = this.current();
    const brief = await ask({
      title: "Hand back to the agent", label: "What should the agent know or do? (optional)", yes: "Hand back",
      hint: `The agent heard everything that was said. ${farEnd(row.direction).The} does not hear this note.`,
    });
    if (brief === null) return;
    await this.command(row.id, "return", brief ? { brief } : {});
    await this.ears?.silence();
    this.setAir(false);
  }

  toggleMute() {
    const isMuted = this.muteButton.getAttribute("aria-pressed") !== "true";
    this.ears?.mute(isMuted);
    this.muteButton.setAttribute("aria-pressed", String(isMuted));
  }

  async end() {
    const row = this.current();
    if (await confirmEnd(row.caller, farEnd(row.direction))) await this.command(row.id, "end");
  }

  setAir(isOnAir) {
    this.onAir = isOnAir;
    this.muteButton.setAttribute("aria-pressed", "false");
    document.body.classList.toggle("on-air", isOnAir);
    this.title ||= document.title;
    document.title = isOnAir ? `ON AIR · ${this.title}` : this.title;
  }

  showLevels({ heard, own }) {
    this.meter.style.setProperty("--level", heard.toFixed(2));
    this.own.style.setProperty("--level", own.toFixed(2));
  }

  // The floor as the call has it decides; a colleague may have taken it, or the call may be over.
  render() {
    const row = this.current();
    const isOver = !row || row.state === "ended";
    const mine = !isOver && row.controller === this.page.user;
    if (this.onAir && this.call === row?.id && !mine && !this.busy && (isOver || row.seq >= this.takenAt)) {
      this.ears?.silence();
      this.setAir(false);
      if (!isOver) toast(newHolder(row));
    }
    if (isOver && this.ears && this.call === row?.id) this.drop();
    this.bar.hidden = isOver && !this.ears;
    const held = this.bar.contains(document.activeElement) && document.activeElement;
    setAttribute(this.listenButton, "aria-pressed", String(this.listening));
    setText(this.listenButton.lastChild, this.listening ? "Stop listening" : "Listen");
    this.allow(this.listenButton, "listen_call", "listen to calls", isOver);
    this.allow(this.takeButton, "take_over_call", "take calls over", isOver);
    this.allow(this.backButton, "take_over_call", "hand calls back", isOver);
    this.allow(this.endButton, "end_call", "end calls", isOver);
    this.transfer.render(isOver);
    this.takeButton.hidden = this.listenButton.hidden = this.onAir;
    this.backButton.hidden = !mine || Boolean(row?.transfer);
    this.muteButton.hidden = this.air.hidden = !this.onAir;
    this.meter.hidden = !this.listening || this.onAir;
    // The keyboard stays in the bar; on air at what harms least.
    if (held?.hidden) (this.onAir ? this.muteButton : this.bar.querySelector("button:enabled:not([hidden])"))?.focus();
  }

  allow(button, permission, words, isOff) {
    const may = this.permissions.has(permission);
    setAttribute(button, "disabled", !may || isOff || !this.page.socket.isUp);
    setAttribute(button, "title", may ? null : `You may not ${words}.`);
  }
}

function newHolder(row) {
  if (row.controller) return `${row.controller} has the call now.`;
  return row.floor === "agent" || !row.floor ? "The agent has the call again." : `${farEnd(row.direction).The} has been put through.`;
}
