// One call of this page: begins, comes back after a loss or a reload, ends. Knows nothing of how it looks.
import { Ears, Microphone, problem } from "./ears.js";
import { Wire } from "./wire.js";

const GATHER_MS = 1500;
const LOST_MS = 2000;
const CONNECT_MS = 15000;
const LIVE = new Set(["connecting", "ringing", "listening", "thinking", "speaking", "human", "hold", "degraded", "reconnecting"]);

export class Call extends EventTarget {
  constructor(key, url) {
    super();
    this.key = key;
    this.url = url;
    this.store = `voice-agent:${key}`;
    this.state = "idle";
    this.audio = new Audio();
    this.audio.autoplay = true;
    this.ears = new Ears(this.audio);
    this.mic = new Microphone();
  }

  get isLive() {
    return LIVE.has(this.state);
  }

  // `speak` false: no microphone, the caller types.
  async start(variables, speak = true) {
    if (this.isLive || this.state === "permission") return;
    this.reset();
    this.begunAt = performance.now();
    this.audio.play().catch(() => {}); // inside the click, so that the answer may sound later
    await this.begin(async (sdp) => ({ type: "start", v: 1, key: this.key, sdp, ...(variables && { variables }) }), speak);
  }

  // A token left by this tab: the same call after a reload. False: there is none.
  async comeBack() {
    const token = sessionStorage.getItem(this.store);
    if (!token) return false;
    this.reset();
    this.token = token;
    this.isReturning = true;
    await this.begin(async (sdp) => ({ type: "resume", v: 1, token: this.spend(), sdp, since: 0 }), true);
    return true;
  }

  reset() {
    this.since = 0;
    this.unsent = [];
    this.call = this.ticket = this.token = null;
    this.isReturning = this.isOver = this.isMuted = false;
  }

  async begin(firstMessage, speak) {
    try {
      if (speak) {
        this.go("permission");
        this.track = await this.mic.open();
      } else this.track = null;
      this.go("connecting");
      const message = await firstMessage(await this.offer());
      this.wire = new Wire(this.url);
      this.wire.addEventListener("message", (event) => this.take(event.detail));
      this.wire.addEventListener("lost", (event) => this.wireLost(event.detail));
      this.wire.connect(() => message);
      this.giveUp = setTimeout(() => this.fail("ice", true), CONNECT_MS);
    } catch (error) {
      this.fail(error.code || "server", true);
    }
  }

  async offer() {
    this.peer?.close();
    const peer = new RTCPeerConnection({ iceServers: ICE_SERVERS });
    this.peer = peer;
    const { sender } = peer.addTransceiver("audio", { direction: "sendrecv" });
    if (this.track) await sender.replaceTrack(this.track);
    peer.ontrack = ({ track }) => {
      this.remote = new MediaStream([track]);
      this.audio.srcObject = this.remote;
      this.audio.play().catch(() => this.tell("silent", {}));
      this.ears.watch(this.mic.stream, this.remote);
    };
    peer.onconnectionstatechange = () => this.peerMoved(peer);
    await peer.setLocalDescription(await peer.createOffer());
    await new Promise((resolve) => {
      if (peer.iceGatheringState === "complete") resolve();
      peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
      setTimeout(resolve, GATHER_MS);
    });
    return peer.localDescription.sdp;
  }

  peerMoved(peer) {
    if (peer !== this.peer || this.isOver) return;
    clearTimeout(this.losing);
    if (peer.connectionState === "connected") {
      clearTimeout(this.giveUp);
      if (!this.wasConnected) this.tell("connected", { callId: this.call, ms: Math.round(performance.now() - this.begunAt) });
      this.wasConnected = true;
      if (["connecting", "reconnecting"].includes(this.state)) this.go(this.said || "listening");
    } else if (peer.connectionState === "failed") this.newPath();
    else if (peer.connectionState === "disconnected") this.losing = setTimeout(() => this.newPath(), LOST_MS);
  }

  // The audio path is gone: a new one into the same call.
  async newPath() {
    if (this.isOver || !this.token) return;
    this.go("reconnecting");
    const sdp = await this.offer();
    const first = () => ({ type: "resume", v: 1, token: this.spend(), sdp, since: this.since });
    if (this.wire.isOpen) this.wire.send(first());
    else this.wire.again(first);
  }

  // A token works once, so what was sent is not kept.
  spend() {
    const token = this.token;
    this.token = null;
    sessionStorage.removeItem(this.store);
    return token;
  }

  wireLost(code) {
    if (this.isOver) return;
    if (code === 1000) return this.over("", 0);
    if (!this.ticket) return this.fail("server", true);
    this.lostAt ||= performance.now();
    if (performance.now() - this.lostAt > this.resumeMs) return this.fail("server", true);
    this.tell("captions", { lost: true });
    this.wire.again(() => ({ type: "attach", v: 1, ticket: this.ticket, since: this.since }));
  }

  take(message) {
    if (message.seq) this.since = Math.max(this.since, message.seq);
    const handle = TAKE[message.type];
    if (handle) handle(this, message);
  }

  mute(isMuted) {
    this.isMuted = isMuted;
    this.mic.mute(isMuted);
    this.tell("muted", { muted: isMuted });
  }

  // What is typed while the call is still being made, or its socket is away, is sent as soon as it can be.
  sendText(text) {
    const words = String(text).trim().slice(0, 500);
    if (!words || !this.isLive) return false;
    this.unsent.push(words);
    this.sendUnsent();
    return true;
  }

  sendUnsent() {
    while (this.ticket && this.unsent.length && this.wire.send({ type: "text", text: this.unsent[0] })) this.unsent.shift();
  }

  end() {
    if (!this.isLive) return;
    if (!this.wire?.send({ type: "end" })) return this.over("caller_hung_up", 0);
    setTimeout(() => this.over("caller_hung_up", Math.round((performance.now() - this.begunAt) / 1000)), 1500);
  }

  over(reason, seconds) {
    if (this.isOver) return;
    this.stop();
    this.go("ended");
    this.tell("ended", { reason, seconds });
  }

  fail(code, retryable, text) {
    const wasReturning = this.isReturning && !this.call;
    this.stop();
    if (wasReturning) return this.go("idle"); // the call we came back to is over: nothing went wrong here
    this.go("error");
    this.tell("error", { code, retryable, text: WORDS.errors[code] || text || WORDS.error });
  }

  stop() {
    this.isOver = true;
    this.wasConnected = false;
    this.said = "";
    clearTimeout(this.giveUp);
    clearTimeout(this.losing);
    sessionStorage.removeItem(this.store);
    this.wire?.close();
    this.peer?.close();
    this.ears.stop();
    this.mic.close();
    this.audio.srcObject = null;
  }

  go(state) {
    if (state === this.state) return;
    this.state = state;
    this.tell("state", { state });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const TAKE = {
  started: async (call, message) => {
    call.lostAt = null;
    Object.assign(call, { call: message.call, ticket: message.ticket, token: message.resume, resumeMs: message.resume_s * 1000 });
    sessionStorage.setItem(call.store, message.resume);
    call.begunAt ||= performance.now();
    if (message.resumed) call.tell("resumed", {});
    call.sendUnsent();
    await call.peer.setRemoteDescription({ type: "answer", sdp: message.sdp });
  },
  attached: (call) => {
    call.lostAt = null;
    call.tell("captions", { lost: false });
    call.sendUnsent();
  },
  state: (call, { state }) => {
    call.said = state;
    if (state === "reconnecting" || call.wasConnected) call.go(state);
  },
  transcript: (call, { role, text, final, id }) => call.tell("transcript", { role, text, final, id }),
  interrupted: (call, { id, heard }) => call.tell("interrupted", { id, heard }),
  latency: (call, { turn, ms }) => call.tell("latency", { turn, ms }),
  handoff: (call, { to }) => call.tell("handoff", { to }),
  ended: (call, { reason, seconds }) => call.over(reason, seconds),
  error: (call, { code, text, retryable, ref }) => {
    if (ref === "text" || ref === "end") return call.tell("refused", { text });
    if (code === "expired" && call.call) return call.over("expired", 0);
    call.fail(code === "expired" ? "server" : code, retryable, text);
  },
};
