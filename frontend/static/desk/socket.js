// The desk's WebSocket, protocol va.dash.1: resumes by cursor, acknowledges each frame, never closes in a hidden tab.

const PROTOCOL = "va.dash.1";
const STEADY_MS = 10000;
const FATAL = { 4401: "login", 4403: "permission" };

export class DeskSocket extends EventTarget {
  constructor(path) {
    super();
    this.url = new URL(path, location.href.replace(/^http/, "ws"));
    this.cursor = "";
    this.opened = null;
    this.waiting = new Map();
    this.tries = 0;
    this.isUp = false;
    this.connect();
    addEventListener("online", () => this.retryNow());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => this.send({ type: "hello", v: PROTOCOL, cursor: this.cursor });
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = (event) => this.lost(event.code);
  }

  retryNow() {
    if (this.timer) this.connect();
  }

  lost(code) {
    if (this.isUp && performance.now() - this.upSince > STEADY_MS) this.tries = 0;
    this.isUp = false;
    for (const pending of this.waiting.values()) pending.reject(new Error("The connection was lost; look before you repeat it."));
    this.waiting.clear();
    if (code in FATAL) return this.emit("refused", { reason: FATAL[code] });
    this.emit("down", {});
    const pause = Math.min(10000, 500 * 2 ** this.tries++) * (0.6 + Math.random() * 0.4);
    this.timer = setTimeout(() => this.connect(), pause);
  }

  receive(message) {
    if (message.cursor) {
      this.cursor = message.cursor;
      this.send({ type: "ack", cursor: message.cursor });
    }
    if (message.type === "welcome") {
      if (!this.isUp) this.upSince = performance.now();
      this.isUp = true;
      if (this.opened) this.send({ type: "open", call: this.opened.call, since: this.opened.since() });
      this.emit("up", message);
    } else if (message.type === "result") {
      const pending = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (pending) pending.resolve(message);
    } else this.emit(message.type, message);
  }

  // `since` is asked again after each reconnect: the last event on the page.
  open(call, since) {
    this.opened = { call, since };
    if (this.isUp) this.send({ type: "open", call, since: since() });
  }

  closeCall() {
    if (this.opened && this.isUp) this.send({ type: "close", call: this.opened.call });
    this.opened = null;
  }

  // Resolves to the `result` message; rejects only if the socket is lost meanwhile.
  command(call, name, args = {}) {
    if (!this.isUp) return Promise.reject(new Error("Not connected; the call is not affected."));
    const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.send({ type: "cmd", id, call, name, args });
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  on(type, listener) {
    this.addEventListener(type, (event) => listener(event.detail));
  }
}

// The amber bar: says what is frozen, and that no call is affected.
export function showLink(socket, notice) {
  const light = document.querySelector(".link-state");
  const set = (link, words) => {
    light.dataset.link = link;
    light.textContent = words;
  };
  const freeze = (words) => {
    notice.querySelector("span").textContent = words;
    notice.hidden = false;
    document.body.classList.add("frozen");
  };
  let seenAt = "";
  const old = (link, words) => {
    seenAt ||= new Date().toLocaleTimeString();
    set("down", link);
    freeze(`${words} What you see is from ${seenAt}; calls are not affected.`);
  };
  const follow = ({ live }) => {
    if (!live) return old("Not live", "The server does not hear the calls; it tries again by itself.");
    seenAt = "";
    set("up", "Live");
    notice.hidden = true;
    document.body.classList.remove("frozen");
  };
  socket.on("up", follow);
  socket.on("live", follow);
  socket.on("down", () => old("Reconnecting", "Reconnecting."));
  socket.on("refused", ({ reason }) => {
    set("down", "Logged out");
    if (reason === "login") location.assign(`/login/?next=${encodeURIComponent(location.pathname)}`);
    freeze("Your permissions were changed. Load the page again.");
  });
}
