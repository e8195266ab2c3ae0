// A stream for programs: audio is sent, and the messages of the server are iterated over.

import { Driver } from "./driver.js";
import { ConnectionLost } from "./errors.js";

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

/**
 * @typedef {import("./driver.js").ConnectionOptions & {
 *   settings?: import("./messages.js").Settings,
 *   onState?: (state: "live" | "waiting", ms?: number) => void,
 * }} StreamOptions the fields of `start`, how to connect, and what to call when the connection is
 *   lost (`waiting`: the next attempt is in `ms` milliseconds) or replaced (`live`)
 */

/** @typedef {ArrayBuffer | ArrayBufferView} Audio samples in the encoding of the settings */

/**
 * Opens a stream; resolves when the server is ready. If the connection is lost later, it is opened
 * again, and no word is lost or doubled.
 * @param {string | URL} server such as `http://127.0.0.1:8765`
 * @param {StreamOptions} options
 * @returns {Promise<Stream>} rejects with a `ServerError` or a `ConnectionLost`
 */
export async function connect(server, options = {}) {
  const stream = new Stream(server, options);
  await stream.open();
  return stream;
}

/**
 * Sends audio and, meanwhile, yields each message after `ready`, up to `ended`.
 * @param {string | URL} server
 * @param {AsyncIterable<Audio> | Iterable<Audio>} audio pieces of any size, such as a Node stream
 * @param {StreamOptions} options
 * @returns {AsyncGenerator<ServerMessage, void>} throws the errors of `connect` and those of `audio`
 */
export async function* transcribe(server, audio, options = {}) {
  const stream = await connect(server, options);
  try {
    stream.sendAll(audio);
    yield* stream;
  } finally {
    stream.close();
  }
}

/** An open stream. Read while you send: a server closes a stream whose messages are not read. */
export class Stream {
  #driver;
  /** @type {ServerMessage[]} */
  #unread = [];
  #ended = false;
  /** @type {unknown} */
  #sourceError = null;
  /** @type {(() => void)[]} */
  #waiting = [];

  /**
   * @param {string | URL} server
   * @param {StreamOptions} options
   */
  constructor(server, { settings = {}, onState, ...options }) {
    this.#driver = new Driver(server, settings, options, {
      onEvent: (message) => this.#unread.push(message),
      onState,
      onChange: () => {
        for (const look of this.#waiting.splice(0)) look();
      },
    });
  }

  /** The last `ready` of the server: the model, the session and its limits. */
  get ready() {
    return this.#driver.ready;
  }

  /** Opens the stream; `connect` calls it. */
  async open() {
    this.#driver.open();
    await this.#until(() => this.ready !== null || this.#driver.closed);
    if (!this.ready) throw this.#why() ?? new ConnectionLost("The stream is over.");
    // `ready` is an attribute; the iteration begins with the message after it.
    this.#unread.splice(0, 1 + this.#unread.findIndex(({ type }) => type === "ready"));
  }

  /**
   * Sends any number of samples, channels interleaved. The promise resolves when they are sent, or
   * when the stream is over; the reason is thrown where the messages are read.
   * @param {Audio} audio
   */
  sendAudio(audio) {
    this.#driver.sendAudio(audio);
    return this.#untilSent();
  }

  /**
   * Requests the finals of all audio so far now; a `mark` with the number follows them, if given.
   * @param {number} [mark]
   */
  finalize(mark) {
    return this.#send({ type: "finalize", ...(mark === undefined ? {} : { mark }) });
  }

  /**
   * Requests a `mark` as soon as every sample sent so far is settled.
   * @param {number} id
   */
  mark(id) {
    return this.#send({ type: "mark", id });
  }

  /**
   * Changes settings for later audio; answered by `configured`, or by an `error` and no change.
   * @param {import("./messages.js").Changes} changes
   */
  configure(changes) {
    return this.#send({ type: "configure", ...changes });
  }

  /** Keeps the stream open while there is no audio. */
  keepalive() {
    return this.#send({ type: "keepalive" });
  }

  /** Ends the audio. Continue to read: the last finals follow, and then `ended`. */
  end() {
    return this.#send({ type: "end" });
  }

  /**
   * Sends all of `audio`, and ends it. An error of `audio` closes the stream, and is thrown where
   * the messages are read.
   * @param {AsyncIterable<Audio> | Iterable<Audio>} audio
   */
  async sendAll(audio) {
    try {
      for await (const piece of audio) {
        await this.sendAudio(piece);
        if (this.#driver.closed) return;
      }
      await this.end();
    } catch (error) {
      this.#sourceError = error;
      this.close();
    }
  }

  /** Closes the stream at once; finals that are still due are lost. */
  close() {
    this.#driver.close();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /**
   * Returns the next message; a `ready` means that a lost connection has been replaced.
   * @returns {Promise<IteratorResult<ServerMessage, undefined>>} rejects with a `ServerError` or a
   *   `ConnectionLost` if the stream failed
   */
  async next() {
    await this.#until(() => (this.#unread.length > 0 && !this.#ended) || this.#driver.closed);
    const message = this.#ended ? undefined : this.#unread.shift();
    if (message) {
      this.#ended = message.type === "ended";
      return { value: message, done: false };
    }
    const why = this.#why();
    if (why) throw why;
    return { value: undefined, done: true };
  }

  #why() {
    return this.#sourceError ?? this.#driver.failure;
  }

  /** @param {import("./messages.js").ClientMessage} message */
  #send(message) {
    this.#driver.send(message);
    return this.#untilSent();
  }

  #untilSent() {
    return this.#until(() => this.#driver.allSent || this.#driver.closed);
  }

  /** @param {() => boolean} condition */
  async #until(condition) {
    while (!condition()) await new Promise((look) => this.#waiting.push(() => look(undefined)));
  }
}
