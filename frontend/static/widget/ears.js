// The microphone and the loudspeaker: clear errors, levels, and a duck at the ear the moment the caller speaks.

const SPEECH_FLOOR_DB = -48;
const ABOVE_NOISE_DB = 12;
const ONSET_MS = 40;
const RELEASE_MS = 500;
const DUCKED = 0.22;
const LOOK_MS = 20;

export class Microphone {
  async open() {
    if (!navigator.mediaDevices) throw problem("insecure");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
      });
    } catch (error) {
      throw problem({ NotAllowedError: "mic-denied", SecurityError: "mic-denied", NotFoundError: "no-mic" }[error.name] || "mic-busy");
    }
    return this.stream.getAudioTracks()[0];
  }

  mute(isMuted) {
    for (const track of this.stream?.getTracks() || []) track.enabled = !isMuted;
  }

  close() {
    for (const track of this.stream?.getTracks() || []) track.stop();
    this.stream = null;
  }
}

export function problem(code, text) {
  return Object.assign(new Error(text || WORDS.errors[code] || WORDS.error), { code });
}

// Watches both directions. Ducking is local and reversible; whether it was a barge-in the call decides.
export class Ears {
  constructor(audio) {
    this.audio = audio;
    this.noise = -60;
    this.loudFor = this.quietFor = 0;
    this.own = this.heard = 0;
  }

  watch(micStream, remoteStream) {
    this.stop();
    this.context = new AudioContext();
    this.context.resume?.();
    this.ownBy = micStream && meter(this.context, micStream);
    this.heardBy = remoteStream && meter(this.context, remoteStream);
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  look() {
    const own = this.ownBy ? decibels(this.ownBy) : -100;
    this.own = scale(own);
    this.heard = this.heardBy ? scale(decibels(this.heardBy)) : 0;
    const isLoud = own > Math.max(SPEECH_FLOOR_DB, this.noise + ABOVE_NOISE_DB);
    if (!isLoud) this.noise += (Math.max(own, -75) - this.noise) * 0.03;
    this.loudFor = isLoud ? this.loudFor + LOOK_MS : 0;
    this.quietFor = isLoud ? 0 : this.quietFor + LOOK_MS;
    if (this.loudFor >= ONSET_MS) this.audio.volume = DUCKED;
    else if (this.quietFor >= RELEASE_MS) this.audio.volume = 1;
  }

  stop() {
    clearInterval(this.timer);
    this.context?.close();
    this.context = null;
    this.audio.volume = 1;
    this.own = this.heard = 0;
  }
}

function meter(context, stream) {
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  return { analyser, samples: new Float32Array(1024) };
}

function decibels({ analyser, samples }) {
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length + 1e-10);
}

function scale(db) {
  return Math.min(1, Math.max(0, (db + 55) / 45));
}
