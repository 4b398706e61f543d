// Where the time of an answer went, as bars against a 500 ms line. t0 is the caller's last voiced sample.

import { el, setText, svg } from "./dom.js";
import { pace } from "./format.js";

const STAGES = [
  ["endpoint_ms", "End of turn decided", "hold"],
  ["stt_final_ms", "Words final", "listening"],
  ["first_sentence_ms", "First sentence", "thinking"],
  ["first_audio_ms", "First audio", "speaking"],
  ["first_packet_ms", "First packet out", "human"],
];
const GOAL_MS = 500;
const WIDTH = 1000;

// In the order in which they happened: an answer may be prepared before the end of the turn is decided.
export function stages(turn) {
  const reached = STAGES.map(([key, name, tone]) => ({ name, tone, at: turn[key] })).filter(({ at }) => at !== null && at !== undefined);
  reached.sort((one, other) => one.at - other.at);
  return reached.map((stage, i) => {
    const from = i ? reached[i - 1].at : 0;
    return { ...stage, from, ms: stage.at - from };
  });
}

export function total(turn) {
  return turn.first_packet_ms ?? null;
}

function scaleOf(turns) {
  const most = Math.max(GOAL_MS * 1.25, ...turns.map((turn) => Math.max(0, ...stages(turn).map((stage) => stage.at))));
  return Math.ceil(most / 250) * 250;
}

function bar(turn, scale, height) {
  const x = (value) => (value / scale) * WIDTH;
  const picture = svg("svg", { class: "bar", viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const stage of stages(turn)) {
    picture.append(svg("rect", { x: x(stage.from), width: Math.max(3, x(stage.ms)), y: 0, height, "data-state": stage.tone }));
  }
  picture.append(svg("line", { class: "goal", x1: x(GOAL_MS), x2: x(GOAL_MS), y1: 0, y2: height, "vector-effect": "non-scaling-stroke" }));
  return picture;
}

export class Waterfall {
  constructor(box, { onSelect } = {}) {
    this.box = box;
    this.onSelect = onSelect;
    this.selected = null;
  }

  render(fold) {
    const stamp = `${fold.turns.length}|${this.selected}`;
    if (this.stamp === stamp) return;
    this.stamp = stamp;
    this.far = fold.far;
    const turns = fold.turns;
    if (!turns.length) return this.box.replaceChildren(el("p", { class: "empty", text: "No answer was measured yet." }));
    const shown = turns.find((turn) => turn.turn === this.selected) || turns.at(-1);
    const scale = scaleOf(turns);
    this.box.replaceChildren(this.detail(shown), this.list(turns, shown, scale));
  }

  detail(turn) {
    const scale = scaleOf([turn]);
    const rows = stages(turn).map((stage) => el("div", { class: "stage" },
      el("span", { class: "clip", text: stage.name }),
      this.stageBar(stage, scale),
      el("span", { class: "num", text: `${Math.round(stage.at)}` }),
      el("span", { class: "num faint", text: `+${Math.round(stage.ms)}` })));
    const sum = total(turn);
    const head = el("div", { class: "answer" },
      el("div", {}, el("b", { class: "num big", "data-pace": pace(sum), text: sum === null ? "–" : `${Math.round(sum)}` }), el("span", { class: "quiet", text: " ms to the first packet" })),
      el("p", { class: "quiet clip", text: turn.text ? `Turn ${turn.turn}: “${turn.text}”` : `Turn ${turn.turn}` }));
    const legend = el("p", { class: "faint legend", text: `ms after the last voiced sample of ${this.far.the}, and what each stage added. Dashed: 500 ms.` });
    return el("div", { class: "detail" }, head, ...rows, legend);
  }

  stageBar(stage, scale) {
    const x = (value) => (value / scale) * WIDTH;
    return svg("svg", { class: "bar", viewBox: `0 0 ${WIDTH} 10`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { x: x(stage.from), width: Math.max(4, x(stage.ms)), y: 0, height: 10, "data-state": stage.tone }),
      svg("line", { class: "goal", x1: x(GOAL_MS), x2: x(GOAL_MS), y1: 0, y2: 10, "vector-effect": "non-scaling-stroke" }));
  }

  list(turns, shown, scale) {
    const items = turns.map((turn) => {
      const sum = total(turn);
      const choose = () => {
        this.selected = turn.turn;
        this.onSelect?.(turn);
      };
      const button = el("button", { class: "turn", type: "button", "aria-pressed": String(turn === shown), onclick: choose },
        el("span", { class: "num faint", text: turn.turn }), bar(turn, scale, 10),
        el("span", { class: "num", "data-pace": pace(sum), text: sum === null ? "–" : `${Math.round(sum)} ms` }));
      button.setAttribute("aria-label", `Turn ${turn.turn}, ${sum === null ? "no answer" : `${Math.round(sum)} ms`}`);
      return el("li", {}, button);
    });
    return el("ol", { class: "turns" }, items);
  }
}

export function spark(box, values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return box.replaceChildren();
  const top = Math.max(...known, 1);
  const step = 100 / (values.length - 1);
  const points = values.map((value, i) => (value === null ? null : `${(i * step).toFixed(1)},${(22 - (value / top) * 20).toFixed(1)}`)).filter(Boolean);
  box.replaceChildren(svg("svg", { viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" })));
}

export function setFigure(node, value, digits) {
  setText(node, value === null || value === undefined ? "–" : digits ? value.toFixed(digits) : value);
}
