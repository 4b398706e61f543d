// Putting a call through: whom to, how, and how it goes. Never optimistic: the row says which stage was reached.

import { el, icon, setAttribute, setText } from "./dom.js";
import { askTransfer } from "./dialogs.js";
import { farEnd } from "./format.js";

const STAGES = {
  dialling: "Calling {to} …", ringing: "{to} rings", referring: "The network of {far} calls {to} …",
  consulting: "You speak with {to}; {far} waits", completing: "Putting {far} through to {to} …",
};
const OTHERS = { consulting: "{who} speaks with {to}; {far} waits" };
const CONSULTED_BY_AGENT = "The agent speaks with {to}; {far} waits";

export class TransferBar {
  // `actions` owns the buttons of the call; this one adds [Transfer] and, while one is under way, its progress.
  constructor(actions, targets) {
    this.actions = actions;
    this.targets = targets;
    this.button = actions.makeButton("Transfer", "arrow", "x", () => this.ask());
    this.words = el("span", { class: "clip" });
    this.complete = actions.makeButton("Put through", "check", null, () => this.actions.command(this.row.id, "transfer_complete"), "primary");
    this.cancel = actions.makeButton("Cancel and return", "cross", null, () => this.actions.command(this.row.id, "transfer_cancel"));
    this.strip = el("div", { class: "transfer", role: "group", "aria-label": "Transfer", "data-state": "transferring", hidden: true },
      el("span", { class: "state pill", role: "status" }, icon("arrow"), this.words), this.complete, this.cancel);
  }

  get row() {
    return this.actions.current();
  }

  async ask() {
    const row = this.row;
    const check = (to) => this.actions.command(row.id, "transfer_check", { to });
    const wish = await askTransfer({ targets: this.targets, check, far: farEnd(row.direction) });
    if (!wish) return;
    if (wish.mode === "attended" && !this.actions.onAir) await this.actions.take();
    await this.actions.command(row.id, "transfer", wish);
  }

  render(isOver) {
    const transfer = isOver ? null : this.row?.transfer;
    const user = this.actions.page.user;
    const mine = transfer && (!transfer.who || transfer.who === user);
    setText(this.words, transfer ? words(transfer, user, farEnd(this.row.direction)) : "");
    this.strip.hidden = !transfer;
    this.button.hidden = Boolean(transfer);
    this.complete.hidden = !transfer || !mine || transfer.stage !== "consulting";
    this.cancel.hidden = !transfer || !mine || transfer.stage === "referring" || transfer.stage === "completing";
    for (const button of [this.button, this.complete, this.cancel]) this.actions.allow(button, "transfer_call", "put calls through", isOver);
    const theirs = this.row?.controller && this.row.controller !== user;
    if (theirs) setAttribute(this.button, "disabled", true);
  }
}

function words(transfer, user, far) {
  const mine = transfer.who === user;
  const agents = transfer.by === "agent" && transfer.stage === "consulting";
  const sentence = agents ? CONSULTED_BY_AGENT : (!mine && OTHERS[transfer.stage]) || STAGES[transfer.stage] || "Transferring to {to}";
  return sentence.replace("{far}", far.the).replace("{to}", transfer.name || transfer.to).replace("{who}", transfer.who);
}
