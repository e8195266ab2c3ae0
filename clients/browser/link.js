// The websocket to the server, opened again as often as it breaks, so that nothing said is lost or
// doubled: what the server has not settled stays on the tape and is sent once more.

import { Problem } from "./problem.js";
import { Timeline } from "./timeline.js";

const PIECE = 32_000; // samples in one message, when there are so many
const HIGH_WATER = 1 << 20; // bytes that wait in the browser before more are put there
const POLL_MS = 40;
const ANSWERED_EVERY_S = 2; // of audio: a server says something after each second of it
const SILENT_MS = 15_000; // a server that owes an answer for longer is taken for lost,
const LIVE_SILENT_MS = 6_000; // or for so long, where it has nothing to do but to keep up
const LONGEST_SILENT_MS = 60_000; // each time longer: one that is there, and still owes it, is slow
const LOOK_MS = 1_000; // how often it is looked at
const ASK_MS = 5_000; // for how long it is asked whether it is there
const WAIT_MS = 300; // before the first attempt to come back; each further wait is twice as long
const LONGEST_WAIT_MS = 10_000;

const FATAL = new Set(["bad_settings", "malformed"]);

export class Link {
  #finish;
  #requests = []; // { at, message }: sent where the tape stood when they were made
  #asked = 0; // of those, how many were sent
  #attempts = 0;

  /** `onEvent(message)`, and `onState("live" | "waiting", milliseconds)`. */
  constructor({ url, settings, sampleRate, tape, onEvent, onState }) {
    Object.assign(this, { url, settings, sampleRate, tape, onEvent, onState });
    this.timeline = new Timeline(sampleRate, settings.endpointing_ms);
    this.sent = 0;
    this.received = 0; // by the server, as far as it has said
    this.live = false;
    this.ever = false; // was live before
    this.ending = false;
    this.over = false;
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    addEventListener("online", this);
  }

  open() {
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch {
      return this.close(new Problem("bad_address"));
    }
    this.socket = socket;
    this.resuming = Boolean(this.token);
    socket.onopen = () => socket.send(JSON.stringify({ type: "start", ...this.#wish() }));
    socket.onmessage = ({ data }) => socket === this.socket && this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.#closed(code);
    this.#watch();
  }

  /** Sends what has been put on the tape since. */
  pump() {
    clearTimeout(this.pumping);
    const { socket, tape } = this;
    while (this.live && socket.readyState === WebSocket.OPEN) {
      const request = this.#requests[this.#asked];
      if (request && request.at <= this.sent) {
        if (request.message.type !== "configure") this.timeline.cutAsked = true;
        socket.send(JSON.stringify(request.message));
        this.#asked += 1;
      } else if (this.sent === tape.end) {
        break;
      } else if (socket.bufferedAmount > HIGH_WATER) {
        this.pumping = setTimeout(() => this.pump(), POLL_MS);
        break;
      } else {
        const until = Math.min(request?.at ?? tape.end, tape.end);
        const samples = tape.read(this.sent, Math.min(this.piece, until - this.sent));
        socket.send(samples);
        this.sent += samples.length;
      }
    }
  }

  /** A message that holds from here on the tape on. */
  ask(message) {
    const { type, ...changes } = message;
    if (type === "configure") {
      Object.assign(this.settings, changes);
      this.timeline.endpointingMs = changes.endpointing_ms ?? this.timeline.endpointingMs;
    }
    this.#requests.push({ at: this.tape.end, message });
    this.pump();
  }

  /** No more will be put on the tape. */
  end() {
    if (this.ending || this.over) return;
    this.ending = true;
    this.ask({ type: "end" });
  }

  /** Ends it here, whatever is missing. */
  close(problem = null) {
    if (this.over) return;
    this.over = true;
    this.live = false;
    removeEventListener("online", this);
    for (const timer of [this.pumping, this.retrying, this.beating]) clearTimeout(timer);
    clearInterval(this.watching);
    this.socket?.close();
    this.#finish(problem);
  }

  handleEvent() {
    if (this.retrying) this.#retry(); // the network is there again
  }

  #wish() {
    if (this.resuming) {
      return { resume: { session: this.session, token: this.token, seq: this.timeline.lastSeq } };
    }
    if (this.ever) this.timeline.beginAnew();
    return { encoding: "pcm_s16le", sample_rate: this.sampleRate, ...this.settings };
  }

  #receive(message) {
    this.owingSince = null;
    if ("received" in message) this.received = this.timeline.base + message.received;
    if (message.type === "error" && message.fatal) {
      if (message.code === "resume_refused") this.token = null;
      else if (message.code === "not_authorised") this.close(new Problem("not_authorised"));
      else if (FATAL.has(message.code)) this.close(new Problem(message.code, message.message));
      return;
    }
    const all = this.ending && this.timeline.base + message.received === this.tape.end;
    if (message.type === "ended" && !all) {
      this.token = null; // the server goes away, or heard nothing for long: another stream follows
      return;
    }
    if (message.type === "progress" && this.live) this.#attempts = 0; // the stream does go on
    const told = this.timeline.receive(message);
    if (message.type === "ready" && !this.retrying) this.#getReady(message); // else given up
    for (const event of told) this.onEvent(event);
    this.tape.forgetBefore(this.timeline.settled);
    if (message.type === "ended") this.close();
  }

  #getReady(message) {
    this.session = message.session;
    this.token = message.resume_token;
    this.sent = this.timeline.base + message.received;
    this.#asked = this.#requests.findIndex(({ at }) => at >= this.sent);
    if (this.#asked < 0) this.#asked = this.#requests.length;
    this.piece = Math.min(PIECE, Math.floor((message.limits?.max_frame_bytes ?? Infinity) / 2));
    this.live = this.ever = true;
    this.#beat((message.limits?.idle_s ?? 60) * 300);
    this.onState("live");
    this.pump();
  }

  #closed(code) {
    this.live = false;
    clearInterval(this.watching);
    clearTimeout(this.beating);
    if (this.over) return;
    if (!this.ever) {
      this.#whyNot().then((problem) => this.close(problem));
    } else if (code === 4002 || (code !== 1006 && !this.#attempts)) {
      this.token = null;
      this.#retry();
    } else {
      const wait = Math.min(WAIT_MS * 2 ** this.#attempts, LONGEST_WAIT_MS);
      this.#attempts += 1;
      this.onState("waiting", wait);
      this.retrying = setTimeout(() => this.#retry(), wait * (0.75 + Math.random() / 2));
    }
  }

  #retry() {
    clearTimeout(this.retrying);
    this.retrying = null;
    if (!this.#attempts) this.#attempts = 1;
    this.open();
  }

  /** Takes the server for lost when it owes an answer for too long: a socket may be half open. */
  #watch() {
    clearInterval(this.watching);
    this.owingSince = null;
    this.watching = setInterval(() => {
      const now = performance.now();
      this.owingSince = this.#owes() ? (this.owingSince ?? now) : null;
      if (this.owingSince === null || now - this.owingSince < this.#patience()) return;
      const { socket } = this;
      socket.onclose = null;
      // A close frame makes the server forget the stream. Where it is to go on, the server closes
      // the old socket when the next one takes its place, and until then that may still be heard.
      if (!this.token || socket.readyState === WebSocket.CONNECTING) {
        this.socket = { close() {} }; // deaf: a closing handshake could take for ever
        socket.close();
      }
      this.#closed(1006);
    }, LOOK_MS);
  }

  #patience() {
    if (!this.live) return SILENT_MS;
    const patience = this.ending ? SILENT_MS : LIVE_SILENT_MS;
    return Math.min(patience * 2 ** this.#attempts, LONGEST_SILENT_MS);
  }

  #owes() {
    const unanswered = (this.sent - this.received) / this.sampleRate;
    return !this.live || this.ending || unanswered > ANSWERED_EVERY_S;
  }

  /** Lets the server know that the stream is in use though no audio comes. */
  #beat(everyMs) {
    clearTimeout(this.beating);
    let sent = -1;
    const beat = () => {
      if (this.live && sent === this.sent) this.socket.send('{"type":"keepalive"}');
      sent = this.sent;
      this.beating = setTimeout(beat, everyMs);
    };
    beat();
  }

  /** A browser does not say why a socket would not open: ask whether anyone is there. */
  async #whyNot() {
    const url = new URL("../readyz", this.url.replace(/^ws/, "http"));
    const how = () => ({ cache: "no-store", signal: AbortSignal.timeout(ASK_MS) });
    try {
      const { ok } = await fetch(url, how());
      return new Problem(ok ? "busy" : "not_ready");
    } catch {
      // To a page of a site that is not allowed, a server that is there shows nothing else of it.
      const there = await fetch(url, { ...how(), mode: "no-cors" }).catch(() => null);
      return new Problem(there ? "refused" : "away");
    }
  }
}
