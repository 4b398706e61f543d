// The call's WebSocket (docs/widget-protocol.md). It may drop and come back; the audio does not pass through it.

const RETRY_MS = [300, 700, 1500, 3000];
const STEADY_MS = 10000;

export class Wire extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.tries = 0;
    this.upSince = Infinity;
  }

  // `first()` gives the first message of each connection; null: there is nothing to come back to.
  connect(first) {
    this.first = first;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      const message = first();
      if (message) this.send(message);
      else socket.close();
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "started" || message.type === "attached") this.upSince = performance.now();
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    };
    socket.onclose = (event) => {
      if (performance.now() - this.upSince > STEADY_MS) this.tries = 0;
      this.upSince = Infinity;
      if (this.socket === socket) this.dispatchEvent(new CustomEvent("lost", { detail: event.code }));
    };
  }

  // After a loss; the pause grows.
  again(first) {
    clearTimeout(this.timer);
    const pause = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)];
    this.timer = setTimeout(() => this.connect(first), pause);
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (!this.isOpen) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
