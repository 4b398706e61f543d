// A supervisor's own connection to a call: hears it at once, speaks only after taking over (same connection).

const GATHER_MS = 1500;
const METER_MS = 60;
const CONNECT_MS = 6000;

export class Ears {
  constructor(iceServers, onLost) {
    this.iceServers = iceServers;
    this.onLost = onLost;
    this.levels = { heard: 0, own: 0 };
  }

  // `exchange(sdp)` hands the offer to the call and gives its answer.
  async open(exchange) {
    const peer = new RTCPeerConnection({ iceServers: this.iceServers });
    this.peer = peer;
    const { sender } = peer.addTransceiver("audio", { direction: "sendrecv" });
    this.sender = sender;
    this.audio = new Audio();
    this.audio.autoplay = true;
    peer.ontrack = ({ track }) => this.hear(new MediaStream([track]));
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "failed" && this.peer === peer) this.onLost();
    };
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await exchange(peer.localDescription.sdp);
    if (this.peer !== peer) return;
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
  }

  hear(stream) {
    this.audio.srcObject = stream;
    this.audio.play().catch(() => {});
    this.context ||= new AudioContext({ sampleRate: 48000 });
    this.heardBy = analyse(this.context, stream);
    clearInterval(this.timer);
    this.timer = setInterval(() => {
      this.levels.heard = level(this.heardBy);
      this.levels.own = this.ownBy && !this.muted ? level(this.ownBy) : 0;
      this.onLevel?.(this.levels);
    }, METER_MS);
  }

  // Resolves when audio can flow; a call refuses the floor to a leg that is not connected yet.
  async connected() {
    const peer = this.peer;
    for (const until = performance.now() + CONNECT_MS; performance.now() < until && this.peer === peer;) {
      if (peer.connectionState === "connected") return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("Your audio connection could not be made; your network may block it.");
  }

  // Asks for the microphone; nothing is sent yet. Throws what getUserMedia throws.
  async readyToSpeak() {
    this.mic ||= await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  }

  async speak() {
    const [track] = this.mic.getAudioTracks();
    this.context ||= new AudioContext({ sampleRate: 48000 });
    this.ownBy = analyse(this.context, this.mic);
    this.muted = false;
    track.enabled = true;
    await this.sender.replaceTrack(track);
  }

  mute(isMuted) {
    this.muted = isMuted;
    for (const track of this.mic?.getAudioTracks() || []) track.enabled = !isMuted;
  }

  async silence() {
    await this.sender?.replaceTrack(null);
    for (const track of this.mic?.getTracks() || []) track.stop();
    this.mic = null;
    this.ownBy = null;
  }

  close() {
    clearInterval(this.timer);
    for (const track of this.mic?.getTracks() || []) track.stop();
    this.peer?.close();
    this.context?.close();
    this.peer = this.sender = this.mic = this.context = this.heardBy = this.ownBy = null;
    if (this.audio) this.audio.srcObject = null;
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
  });
}

function analyse(context, stream) {
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  return { analyser, samples: new Float32Array(analyser.fftSize) };
}

// 0..1 over 50 dB, as ears judge it.
function level({ analyser, samples }) {
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibels = 10 * Math.log10(sum / samples.length + 1e-9);
  return Math.min(1, Math.max(0, (decibels + 55) / 45));
}

export function micProblem(error) {
  if (error.name === "NotAllowedError") return "The browser does not let this page use the microphone. Allow it beside the address, then try again.";
  if (error.name === "NotFoundError") return "No microphone was found. Connect one and try again.";
  if (error.name === "NotReadableError") return "The microphone is in use by another program.";
  return "The microphone could not be opened.";
}
