// Captions of the microphone, for any page:
//
//   import { DistilStream } from "./distil-stream.js";
//
//   const stream = new DistilStream({
//     url: "wss://captions.example/v1/stream",
//     settings: { language: "en" },               // fields of the protocol's `start`
//     onPartial: ({ committed, tentative }) => {},
//     onFinal: ({ text }) => {},
//     onLevel: (peak) => {},                      // 0..1, about 25 times a second
//     onEvent: (message) => {},                   // every message of the server, these included
//   });
//   await stream.start();                         // throws a Problem: `code` and `message`
//   await stream.stop();                          // when the last final has come
//   const problem = await stream.finished;        // null where all went well

import { Microphone } from "./microphone.js";
import { Problem } from "./problem.js";

const SILENCE_MS = 60_000; // a server that says nothing for longer, after `end`, is taken for lost

const CLOSE_PROBLEMS = { 1001: "shut_down", 1012: "restarting", 1013: "busy", 4000: "idle" };

/** One stream, from its start to its end; make a new one for the next. */
export class DistilStream {
  #finish;
  #frames = []; // heard before the socket was open
  #opened = false;
  #flushed = false;

  constructor({ url, settings = {}, onPartial, onFinal, onLevel, onEvent }) {
    this.url = url;
    this.settings = settings;
    this.handlers = { partial: onPartial, final: onFinal };
    this.onLevel = onLevel;
    this.onEvent = onEvent;
    this.stopping = false;
    /** Resolves when the stream is over: with null, or with the `Problem` that ended it. */
    this.finished = new Promise((resolve) => (this.#finish = resolve));
  }

  /** Open the microphone and the stream; resolves when the server is ready. */
  async start() {
    try {
      this.microphone = await Microphone.open({
        onFrame: (audio, peak) => this.#onFrame(audio, peak),
        onLost: () => this.#end(new Problem("device_lost")),
      });
    } catch (problem) {
      this.#finish(problem);
      throw problem;
    }
    if (this.stopping) await this.microphone.close();
    else await this.#open();
  }

  /** Stop listening; resolves when the captions of all that was said have come. */
  async stop() {
    await this.#end(null);
    await this.finished;
  }

  /** Let the microphone go, then send `end`; the server's `ended` finishes the stream. */
  async #end(problem) {
    if (this.stopping) return;
    this.stopping = true;
    this.problem = problem;
    await this.microphone?.close();
    this.#flushed = true;
    if (!this.socket) this.#finish(problem);
    else if (this.#opened) this.#sendEnd();
  }

  #sendEnd() {
    if (this.socket.readyState !== WebSocket.OPEN) return; // It broke: `onclose` sees to it.
    this.#send({ type: "end" });
    this.#expectWord();
  }

  #expectWord() {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => {
      this.#finish(new Problem("unfinished"));
      this.socket.close();
    }, SILENCE_MS);
  }

  #onFrame(audio, peak) {
    this.onLevel?.(peak);
    if (!this.#opened) this.#frames.push(audio);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(audio);
  }

  #send(message) {
    this.socket.send(JSON.stringify(message));
  }

  #open() {
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => {
      const sample_rate = this.microphone.sampleRate;
      this.#send({ type: "start", encoding: "pcm_s16le", sample_rate, ...this.settings });
      for (const frame of this.#frames) this.socket.send(frame);
      this.#opened = true;
      if (this.#flushed) this.#sendEnd();
    };
    return new Promise((resolve, reject) => {
      this.socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.type === "ready") resolve();
        this.#onMessage(message);
      };
      this.socket.onclose = async ({ code }) => {
        clearTimeout(this.deadline);
        const problem = await this.#outcome(code);
        await this.microphone.close();
        this.#finish(problem);
        if (problem) reject(problem);
        else resolve();
      };
    });
  }

  #onMessage(message) {
    if (this.deadline) this.#expectWord();
    this.onEvent?.(message);
    this.handlers[message.type]?.(message);
    if (message.type === "error" && message.fatal) {
      this.problem = new Problem(message.code, message.message);
    } else if (message.type === "ended") {
      this.ended = true;
    }
  }

  /** Why the socket closed: null where all went well. */
  async #outcome(code) {
    if (this.problem) return this.problem;
    if (this.ended && (this.stopping || code === 1000)) return null;
    if (this.#opened) return new Problem(CLOSE_PROBLEMS[code] ?? "lost");
    try {
      // A browser does not say why a socket would not open: ask whether anyone is there.
      const page = new URL("/readyz", this.url.replace(/^ws/, "http"));
      const { ok } = await fetch(page, { cache: "no-store" });
      return new Problem(ok ? "busy" : "not_ready");
    } catch {
      return new Problem("away");
    }
  }
}
