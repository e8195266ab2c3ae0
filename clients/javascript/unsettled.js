// Stores the audio and the requests of a stream until the server has settled them.
//
// After a lost connection, or if the server no longer has the stream, the missing audio is sent
// again. So this log stores audio until the server reports that it is settled, and the requests at
// their positions in the audio. A cursor marks how much was sent on the current connection.
//
// The module does not handle sockets. Samples count from the start of the stream, per channel.

/**
 * Bytes of a sample, for the encodings whose samples can be counted.
 * @type {Record<string, number>}
 */
export const SAMPLE_BYTES = { pcm_s16le: 2, pcm_f32le: 4, mulaw: 1, alaw: 1 };

/**
 * The byte that encodes silence, for encodings where it is not 0.
 * @type {Record<string, number>}
 */
const SILENCE = { mulaw: 0xff, alaw: 0xd5 };

/** Types of the messages that are sent again if a server may not have received them. */
const REQUESTS = new Set(["finalize", "mark", "configure", "end"]);

/** @typedef {{ type: string, [field: string]: any }} Message */

/**
 * A message, and the byte offset in the audio at which it is sent.
 * @typedef {{ byte: number, message: Message, sent: boolean }} Request
 */

/**
 * Returns the id of the mark that answers a request; undefined if it requests no mark.
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
   * @param {string} encoding encoding of the audio; any if `keeps` is false
   * @param {number} channels number of channels that are interleaved in the audio
   * @param {boolean} keeps whether audio is stored until it is settled; if not, until it was sent
   */
  constructor(encoding = "pcm_s16le", channels = 1, keeps = true) {
    /** The sample before which no audio is needed again. */
    this.settled = 0;
    /**
     * The sample at which the application ended the audio; null if it has not.
     * @type {number | null}
     */
    this.endAskedAt = null;
    this.#channels = channels;
    this.#keeps = keeps;
    this.#sampleBytes = SAMPLE_BYTES[encoding] ?? 1;
    this.#frameBytes = this.#sampleBytes * channels;
    this.#silentByte = SILENCE[encoding] ?? 0;
  }

  /** Number of samples that were ever added. */
  get end() {
    return Math.floor(this.#end / this.#frameBytes);
  }

  /** Number of samples up to the cursor: those that the server has or was sent. */
  get sent() {
    return Math.floor(this.#sent / this.#frameBytes);
  }

  /** The first sample that is still stored. */
  get start() {
    return Math.floor((this.#pieces[0]?.start ?? this.#end) / this.#frameBytes);
  }

  /** Whether the server has yet to answer a request that was sent. */
  get awaitsAnswer() {
    return this.#requests.some(
      (request) => request.sent && (markOf(request) !== undefined || request.message.type === "end"),
    );
  }

  /** Whether a requested mark has not been received, sent or not. */
  get awaitsMark() {
    return this.#requests.some((request) => markOf(request) !== undefined);
  }

  /** Whether all audio and all messages were sent. */
  get allSent() {
    return this.#sent === this.#end && this.#requests.every(({ sent }) => sent);
  }

  /**
   * Adds audio; a piece may end anywhere, even within a sample.
   * @param {Uint8Array} data
   */
  addAudio(data) {
    if (!data.length) return;
    this.#pieces.push({ start: this.#end, data });
    this.#end += data.length;
  }

  /**
   * Adds a message, which is sent after the audio added so far.
   * @param {Message} message
   */
  addMessage(message) {
    if (message.type === "end") this.endAskedAt ??= this.end;
    this.#requests.push({ byte: this.#end, message, sent: false });
  }

  /**
   * Returns the next audio or message to send, and counts it as sent; null if all was sent.
   * @param {number} mostBytes the most bytes of audio to return
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
   * Removes everything before the sample except requests whose mark was not received.
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
   * Removes the request that this mark answers; returns whether there was one.
   * @param {number} mark
   */
  answer(mark) {
    const request = this.#requests.find((one) => markOf(one) === mark);
    if (request) this.#forget(request);
    return request !== undefined;
  }

  /**
   * Sets the cursor for a server that has received all audio before the sample.
   * @param {number} sample
   */
  resumeAt(sample) {
    this.#sent = sample * this.#frameBytes;
    for (const request of this.#requests) request.sent = request.byte < this.#sent;
  }

  /**
   * Sets the cursor to `settled`, for a server that has received nothing.
   * @param {Map<number, number>} known by channel, the sample before which all its words are in
   *   finals, although another channel is not settled that far; silence is sent instead of it
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
   * Removes the pieces that end at or before this offset in the stream.
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
   * Returns the bytes [first, end) of the stream, with known audio replaced by silence.
   * @param {number} first
   * @param {number} end
   */
  #read(first, end) {
    let i = this.#pieces.length - 1;
    while (this.#pieces[i].start > first) i -= 1; // usually only the last piece is unsent
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
   * Replaces the audio of a channel before a sample by silence, in `data` itself.
   * @param {Uint8Array} data audio, channels interleaved
   * @param {number} first offset in the stream of its first byte
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
