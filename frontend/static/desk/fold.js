// A call's events folded into what a page shows: lines, turns, state, and who is there. Pure; no DOM.

import { cause, farEnd } from "./format.js";

// Each gets the event, and what the one at the far end is called (`farEnd`).

const SHOWN_IN_AUDIT = {
  CallStarted: (e) => `Call began (${e.transport === "webrtc" ? "browser" : e.transport.toUpperCase()})`,
  LegConnected: (e, far) => (e.resumed ? `${legName(e.leg, far)} is back` : null),
  LegLost: (e, far) => `${legName(e.leg, far)} lost: ${words(e.reason)}`,
  ListenStarted: (e) => `${e.who} listens`,
  ListenStopped: (e) => `${e.who} stopped listening`,
  FloorTaken: (e) => `${e.who} took over`,
  FloorReturned: (e) => (e.who ? `${e.who} handed back` : `Agent has it again: ${words(e.reason)}`),
  FloorGiven: (e, far) => `${e.who || "The third party"} speaks with ${far.the}`,
  TransferRequested: (e, far) => `${by(e, far)} to ${e.name || e.destination}${e.mode === "attended" ? ", speaking first" : ""}${e.method === "refer" ? `, by the network of ${far.the}` : ""}`,
  TransferProgressed: (e, far) => ({ ringing: "The third party rings", consulting: `The third party answered; ${far.the} waits` }[e.stage] || null),
  TransferEnded: (e) => `Transfer: ${OUTCOMES[e.outcome] || e.outcome}${e.reason && e.outcome !== "answered" ? ` (${words(e.reason)})` : ""}`,
  LegReplaced: (e, far) => `Another phone took the place of ${legName(e.leg, far)}`,
  PersonRequested: (e, far) => `${far.name} asked for a person`,
  AgentFailed: (e) => `Agent failed: ${words(e.reason)}`,
  RuleRefused: (e) => `Rule ${e.rule} stopped a ${e.what}`,
  ToolRequested: (e) => `Tool ${e.tool}`,
  ToolFinished: (e) => (e.ok ? "Tool done" : "Tool failed"),
  MediaTroubled: (e) => (e.kind === "ok" ? "Audio is well again" : `Audio ${words(e.kind)}`),
  AnswererJudged: (e) => (e.answerer === "machine" ? "A machine seems to have answered" : null),
  CallEnded: (e, far) => `Call ended: ${cause(e.cause, far)}`,
};

const OUTCOMES = {
  answered: "answered", declined: "declined", failed: "failed", timeout: "no answer", refused: "not allowed",
  fell_back: "the network refused, calling directly", cancelled: "cancelled",
};

const DIVIDERS = {
  FloorGiven: ["human", (e, far) => `${e.who || "The third party"} speaks with ${far.the}`],
  TransferRequested: ["transferring", (e, far) => `${by(e, far)} to ${e.name || e.destination}`],
  TransferEnded: ["transferring", (e) => (["answered", "fell_back"].includes(e.outcome) ? null : `Transfer: ${OUTCOMES[e.outcome] || e.outcome}`)],
  FloorTaken: ["human", (e) => `${e.who} took over`],
  FloorReturned: ["speaking", (e) => (e.who ? `${e.who} handed back to the agent` : "The agent goes on")],
  PersonRequested: ["human", (e, far) => `${far.name} asked for a person`],
  AgentFailed: ["failed", () => "The agent failed; the call stays up"],
  LegLost: ["degraded", (e, far) => (e.leg === "caller" ? `Connection to ${far.the} lost` : null)],
  CallEnded: ["ended", (e, far) => `Call ended: ${cause(e.cause, far)}`],
};

function legName(leg, far) {
  return leg === "caller" ? far.name : leg;
}

function by(e, far) {
  return { agent: "The agent transfers", caller: `${far.The} transfers`, target: "The third party transfers", system: "The call goes" }[e.by] || `${e.who} transfers`;
}

function words(code) {
  return String(code || "").replaceAll("_", " ");
}

export class CallFold {
  constructor() {
    this.seq = 0;
    this.lines = [];
    this.turns = [];
    this.steps = [];
    this.slots = new Map();
    this.legs = new Map();
    this.audit = [];
    this.start = null;
    this.ended = null;
    this.far = farEnd("inbound");
    this.floor = "agent";
    this.partials = new Map();
    this.quality = null;
    this.misunderstood = 0;
  }

  // Live events grow word by word; replayed ones stand there at once.
  take(event, isLive) {
    if (event.seq <= this.seq) return;
    this.seq = event.seq;
    const known = FOLD[event.kind];
    if (known) known(this, event.event || {}, event, isLive);
    const audit = SHOWN_IN_AUDIT[event.kind];
    const text = audit ? audit(event.event, this.far) : null;
    if (text) this.audit.push({ seq: event.seq, at_us: event.at_us, text });
    const divider = DIVIDERS[event.kind];
    const said = divider ? divider[1](event.event, this.far) : null;
    if (said) this.lines.push({ id: `d${event.seq}`, kind: "divider", tone: divider[0], text: said, note: event.event.brief || "" });
  }

  partial(message) {
    this.partials.set(message.role, message.text);
  }

  line(id) {
    return this.lines.findLast((line) => line.id === id);
  }

  turn(number) {
    return this.turns.find((turn) => turn.turn === number);
  }
}

const FOLD = {
  CallStarted: (fold, e, event) => { fold.start = { ...e, at_us: event.at_us }; fold.far = farEnd(e.direction); },
  LegAdded: (fold, e) => fold.legs.set(e.leg, { role: e.role, who: e.who, transport: e.transport, codec: "", listening: false }),
  LegConnected: (fold, e) => { const leg = fold.legs.get(e.leg); if (leg) leg.codec = e.codec; },
  LegRemoved: (fold, e) => fold.legs.delete(e.leg),
  ListenStarted: (fold, e) => { const leg = fold.legs.get(e.leg); if (leg) leg.listening = true; },
  ListenStopped: (fold, e) => { const leg = fold.legs.get(e.leg); if (leg) leg.listening = false; },
  FloorTaken: (fold, e) => { fold.floor = e.leg; },
  FloorReturned: (fold) => { fold.floor = "agent"; },
  FloorGiven: (fold, e) => { fold.floor = e.leg; },
  LegReplaced: (fold, e) => {
    const by = fold.legs.get(e.by);
    if (by && fold.legs.has(e.leg)) fold.legs.get(e.leg).codec = by.codec;
    fold.legs.delete(e.by);
  },
  CallEnded: (fold, e, event) => { fold.ended = { ...e, at_us: event.at_us }; fold.partials.clear(); },
  SegmentHeard: (fold, e, event) => {
    fold.partials.delete(e.role);
    const who = fold.legs.get(e.leg)?.who;
    fold.lines.push({ id: `s${event.seq}`, kind: "said", role: e.role, who, text: e.text, withheld: event.withheld, start_s: e.start_s, turn: e.turn });
  },
  UtteranceStarted: (fold, e, event, isLive) => {
    fold.lines.push({
      id: e.utterance, kind: "said", role: "agent", text: e.text, withheld: event.withheld, start_s: e.start_s,
      turn: e.turn, step: e.step, playing: true, since: isLive ? performance.now() : null,
    });
  },
  UtteranceEnded: (fold, e) => {
    const line = fold.line(e.utterance);
    if (!line) return;
    line.playing = false;
    line.cut = !e.complete;
    if (line.cut) line.heard = e.heard;
  },
  BargedIn: (fold, e) => {
    const line = fold.line(e.utterance);
    if (line) line.barge = { at_s: e.at_s, stop_ms: e.stop_ms, duck_ms: e.duck_ms };
  },
  StepEntered: (fold, e, event) => fold.steps.push({ ...e, at_us: event.at_us }),
  SlotFilled: (fold, e, event) => {
    if (event.withheld) fold.slots.set(e.name, "•••");
    else if (e.value === null) fold.slots.delete(e.name);
    else fold.slots.set(e.name, e.value);
  },
  Misunderstood: (fold, e) => { fold.misunderstood = e.times; },
  QualityMeasured: (fold, e) => { if (e.leg === "caller") fold.quality = e; },
  TurnTimed: (fold, e) => {
    const said = fold.lines.findLast((line) => line.kind === "said" && line.role === "caller" && (line.turn === e.turn || line.turn === null));
    fold.turns.push({ ...e, text: said ? said.text : "" });
  },
};
