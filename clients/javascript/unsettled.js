// The audio and the requests of a stream, until the server has settled them.
//
// A server that lost the connection, or the stream, is sent again what it lacks. So this log keeps
// audio until the server says that it is settled, and keeps the requests that were made in between
// at their place in the audio. A cursor says how much was sent through the connection of now.
//
// Nothing here knows of sockets. Samples count from the first of the stream, per channel.

/**
 * The encodings whose samples can be counted, and how many bytes one has.
 * @type {Record<string, number>}
 */
export const SAMPLE_BYTES = { pcm_s16le: 2, pcm_f32le: 4, mulaw: 1, alaw: 1 };

/**
 * The byte that encodes silence, if it is not 0.
 * @type {Record<string, number>}
 */
const SILENCE = { mulaw: 0xff, alaw: 0xd5 };

/** Messages that are sent again to a server that may not have received them; others are not. */
const REQUESTS = new Set(["finalize", "mark", "configure", "end"]);

/** @typedef {{ type: string, [field: string]: any }} Message */

/**
 * A message, and the byte of the audio before which it is sent.
 * @typedef {{ byte: number, message: Message, sent: boolean }} Request
 */

/**
 * The mark that answers a request, if it asks for one.
 * @param {Request} request
 * @returns {number | undefined}
 */
const markOf = ({ message }) => (message.type === "mark" ? message.id : message.mark) ?? undefined;

/** A log of audio and requests in the order in which they were made, with a cursor. */
export class Unsettled {
  #channels;
  #keeps;
  #sampleBytes;
  #frameBytes;
  #silentByte;
  /** @type {{ start: number, data: Uint8Array }[]} start: byte of the stream */
  #pieces = [];
  #end = 0;
  #sent = 0;
  /** @type {Request[]} */
  #requests = [];
  /** @type {Map<number, number>} by channel, the sample before which silence replaces the audio */
  #known = new Map();

  /**
   * @param {string} encoding that of the audio; any if `keeps` is false
   * @param {number} channels how many are interleaved in the audio
   * @param {boolean} keeps whether audio is kept until it is settled; if not, until it was sent
   */
  constructor(encoding = "pcm_s16le", channels = 1, keeps = true) {
    /** No sample before this one will be asked for again. */
    this.settled = 0;
    /**
     * The sample at which the application asked for the end of the stream.
     * @type {number | null}
     */
    this.endAskedAt = null;
    this.#channels = channels;
    this.#keeps = keeps;
    this.#sampleBytes = SAMPLE_BYTES[encoding] ?? 1;
    this.#frameBytes = this.#sampleBytes * channels;
    this.#silentByte = SILENCE[encoding] ?? 0;
  }

  /** Samples added in all. */
  get end() {
    return Math.floor(this.#end / this.#frameBytes);
  }

  /** Samples sent, from the first of the stream. */
  get sent() {
    return Math.floor(this.#sent / this.#frameBytes);
  }

  /** The first sample that is kept. */
  get start() {
    return Math.floor((this.#pieces[0]?.start ?? this.#end) / this.#frameBytes);
  }

  /** Whether something was asked that the server has yet to answer. */
  get awaitsAnswer() {
    return this.#requests.some(
      (request) => request.sent && (markOf(request) !== undefined || request.message.type === "end"),
    );
  }

  /** Whether a mark was asked for that has not come back. */
  get awaitsMark() {
    return this.#requests.some((request) => markOf(request) !== undefined);
  }

  /** Whether everything was sent. */
  get allSent() {
    return this.#sent === this.#end && this.#requests.every(({ sent }) => sent);
  }

  /**
   * Adds audio; pieces may be cut anywhere, also within a sample.
   * @param {Uint8Array} data
   */
  addAudio(data) {
    if (!data.length) return;
    this.#pieces.push({ start: this.#end, data });
    this.#end += data.length;
  }

  /**
   * Adds a message, which is sent behind the audio so far.
   * @param {Message} message
   */
  addMessage(message) {
    if (message.type === "end") this.endAskedAt ??= this.end;
    this.#requests.push({ byte: this.#end, message, sent: false });
  }

  /**
   * Returns what is to be sent next, and counts it as sent; null if everything was.
   * @param {number} mostBytes the most audio that is returned at once
   * @returns {Uint8Array | Message | null}
   */
  take(mostBytes) {
    const request = this.#requests.find(({ sent }) => !sent);
    if (request && request.byte <= this.#sent) {
      request.sent = true;
      if (!this.#keeps || !REQUESTS.has(request.message.type)) this.#forget(request);
      return request.message;
    }
    const until = request?.byte ?? this.#end;
    if (until === this.#sent) return null;
    const data = this.#read(this.#sent, Math.min(until, this.#sent + mostBytes));
    this.#sent += data.length;
    if (!this.#keeps) this.#forgetBefore(this.#sent);
    return data;
  }

  /**
   * Forgets everything before the sample except marks that have not come back.
   * @param {number} sample
   */
  settle(sample) {
    this.settled = Math.max(this.settled, sample);
    const byte = this.settled * this.#frameBytes;
    this.#forgetBefore(byte);
    this.#requests = this.#requests.filter(
      (request) => request.byte >= byte || markOf(request) !== undefined,
    );
  }

  /**
   * Forgets the request that this mark answers; false if none waits for it.
   * @param {number} mark
   */
  answer(mark) {
    const request = this.#requests.find((one) => markOf(one) === mark);
    if (request) this.#forget(request);
    return request !== undefined;
  }

  /**
   * Goes on with a server that has received all audio before the sample.
   * @param {number} sample
   */
  resumeAt(sample) {
    this.#sent = sample * this.#frameBytes;
    for (const request of this.#requests) request.sent = request.byte < this.#sent;
  }

  /**
   * Goes on with a server that has received nothing.
   * @param {Map<number, number>} known by channel, the sample before which the words are in a final
   *   already although another channel is not settled so far: silence is sent in place of that audio
   */
  beginAnew(known) {
    this.#known = new Map(this.#channels > 1 ? known : []);
    this.#sent = this.settled * this.#frameBytes;
    for (const request of this.#requests) request.sent = false;
  }

  /** @param {Request} request */
  #forget(request) {
    this.#requests.splice(this.#requests.indexOf(request), 1);
  }

  /**
   * Forgets whole pieces that end before the byte.
   * @param {number} byte
   */
  #forgetBefore(byte) {
    let n = 0;
    while (n < this.#pieces.length && this.#pieces[n].start + this.#pieces[n].data.length <= byte) {
      n += 1;
    }
    this.#pieces.splice(0, n);
  }

  /**
   * Returns the audio from one byte of the stream to another.
   * @param {number} first
   * @param {number} end
   */
  #read(first, end) {
    let i = this.#pieces.length - 1;
    while (this.#pieces[i].start > first) i -= 1; // what is to be sent is mostly the last piece
    const data = new Uint8Array(end - first);
    for (let at = first; at < end; i += 1) {
      const { start, data: piece } = this.#pieces[i];
      const part = piece.subarray(at - start, end - start);
      data.set(part, at - first);
      at += part.length;
    }
    for (const [channel, sample] of this.#known) this.#silenceChannel(data, first, channel, sample);
    return data;
  }

  /**
   * Replaces the audio of a channel before a sample by silence.
   * @param {Uint8Array} data audio, channels interleaved
   * @param {number} first the byte of the stream with which it begins
   * @param {number} channel
   * @param {number} sample
   */
  #silenceChannel(data, first, channel, sample) {
    const end = Math.min(sample * this.#frameBytes - first, data.length);
    for (let byte = 0; byte < this.#sampleBytes; byte += 1) {
      const place = channel * this.#sampleBytes + byte - first;
      const begin = ((place % this.#frameBytes) + this.#frameBytes) % this.#frameBytes;
      for (let i = begin; i < end; i += this.#frameBytes) data[i] = this.#silentByte;
    }
  }
}
