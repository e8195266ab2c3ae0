// A provider for Vercel's AI SDK, version 7:
//
//   import { experimental_streamTranscribe as streamTranscribe } from "ai";
//   import { createDistilStream } from "distil-stream-client/ai-sdk";
//
//   const model = createDistilStream({ server: "http://127.0.0.1:8765" }).transcription();
//   const { fullStream } = streamTranscribe({ model, audio, inputAudioFormat: { type: "audio/pcm", rate: 16000 } });
//
// It depends on nothing of the SDK, which calls the methods of the model.

import { addressOf, authorization, tokenNow } from "./address.js";
import { Problem } from "./errors.js";
import { connect } from "./stream.js";

const PROVIDER = "distil-stream";

/**
 * The encodings of the server by the SDK's names.
 * @type {Record<string, NonNullable<import("./messages.js").Settings["encoding"]>>}
 */
const ENCODINGS = { "audio/pcm": "pcm_s16le", "audio/pcmu": "mulaw", "audio/pcma": "alaw" };

/** @typedef {import("./messages.js").Settings} Settings */

/**
 * @typedef {{ server: string | URL, settings?: Settings } & import("./driver.js").ConnectionOptions}
 *   ProviderOptions the server, settings for all streams, and how to connect
 */

/**
 * Returns a provider, whose models transcribe recordings and live audio.
 * @param {ProviderOptions} options
 */
export function createDistilStream(options) {
  return {
    /** @param {string} modelId a server runs one model; its name is only shown */
    transcription: (modelId = "default") => new TranscriptionModel(modelId, options),
  };
}

/** A transcription model in the SDK's specification `v4`. */
class TranscriptionModel {
  specificationVersion = /** @type {const} */ ("v4");
  provider = PROVIDER;
  #options;

  /**
   * @param {string} modelId
   * @param {ProviderOptions} options
   */
  constructor(modelId, options) {
    this.modelId = modelId;
    this.#options = options;
  }

  /**
   * Transcribes a recording.
   * @param {{ audio: Uint8Array | string, mediaType: string, abortSignal?: AbortSignal,
   *   providerOptions?: Record<string, Record<string, any>> }} options
   */
  async doGenerate({ audio, mediaType, abortSignal, providerOptions }) {
    const { server, token, settings } = this.#options;
    const { language = "auto", prompt } = { ...settings, ...providerOptions?.[PROVIDER] };
    const form = new FormData();
    form.append("file", new Blob([/** @type {BlobPart} */ (bytesOf(audio))], { type: mediaType }), "audio");
    for (const granularity of ["segment", "word"]) form.append("timestamp_granularities[]", granularity);
    form.append("response_format", "verbose_json");
    if (language !== "auto") form.append("language", language);
    if (prompt) form.append("prompt", prompt);
    const response = await fetch(addressOf(server, "v1/audio/transcriptions", "http"), {
      method: "POST",
      body: form,
      headers: authorization(await tokenNow(token)),
      signal: abortSignal,
    });
    const body = await response.json();
    if (!response.ok) throw new Problem(body.error?.code ?? `http_${response.status}`, body.error?.message);
    return {
      text: /** @type {string} */ (body.text),
      segments: body.segments.map(timed),
      words: body.words.map(timed),
      language: language === "auto" ? undefined : language, // the server's answer has a name, not a code
      durationInSeconds: /** @type {number} */ (body.duration),
      warnings: [],
      response: { timestamp: new Date(), modelId: this.modelId },
    };
  }

  /**
   * Transcribes live audio.
   * @param {{ audio: ReadableStream<Uint8Array | string>,
   *   inputAudioFormat: { type: string, rate?: number }, abortSignal?: AbortSignal,
   *   includeRawChunks?: boolean, providerOptions?: Record<string, Record<string, any>> }} options
   */
  async doStream({ audio, inputAudioFormat, abortSignal, includeRawChunks, providerOptions }) {
    const { server, settings, ...connection } = this.#options;
    const rate = rateOf(inputAudioFormat);
    const stream = await connect(server, {
      ...connection,
      settings: {
        encoding: ENCODINGS[inputAudioFormat.type],
        sample_rate: rate,
        ...settings,
        ...providerOptions?.[PROVIDER],
      },
    });
    const close = () => stream.close();
    abortSignal?.addEventListener("abort", close);
    if (abortSignal?.aborted) close();
    stream.sendAll(piecesOf(audio));
    const parts = partsOf(stream, rate, includeRawChunks ?? false);
    return {
      stream: new ReadableStream({
        async pull(controller) {
          const { value, done } = await parts.next();
          if (!done) return controller.enqueue(value);
          abortSignal?.removeEventListener("abort", close);
          if (abortSignal?.aborted) controller.error(abortSignal.reason);
          else controller.close();
        },
        cancel: close,
      }),
      response: { timestamp: new Date(), modelId: stream.ready?.model ?? this.modelId },
    };
  }
}

/**
 * Yields the parts of the SDK for the messages of a stream. A `transcript-delta` has only words that
 * never change.
 * @param {AsyncIterable<import("./messages.js").ServerMessage>} messages
 * @param {number} rate hertz
 * @param {boolean} raw whether each message is passed on as well
 * @returns {AsyncGenerator<Record<string, any>, void>}
 */
async function* partsOf(messages, rate, raw) {
  yield { type: "stream-start", warnings: [] };
  const segments = [];
  /** @type {Map<string, string>} what was sent as deltas, by utterance */
  const sent = new Map();
  let language;
  for await (const message of messages) {
    if (raw) yield { type: "raw", rawValue: message };
    if (message.type === "partial" || message.type === "final") {
      const id = `${message.channel}-${message.utterance}`;
      const certain = message.type === "final" ? message.text : message.committed;
      const known = sent.get(id) ?? "";
      if (certain.length > known.length && certain.startsWith(known)) {
        const space = known || sent.size === 0 ? "" : " "; // between utterances
        yield { type: "transcript-delta", id, delta: space + certain.slice(known.length) };
        sent.set(id, certain);
      }
      const part = { id, startSecond: message.start, channelIndex: message.channel };
      if (message.type === "partial") {
        const text = message.committed + message.tentative;
        const durationInSeconds = message.end - message.start;
        yield { type: "transcript-partial", ...part, text, durationInSeconds };
      } else if (message.text) {
        language = message.language;
        segments.push({ text: message.text, startSecond: message.start, endSecond: message.end });
        yield { type: "transcript-final", ...part, text: message.text, endSecond: message.end };
      }
    } else if (message.type === "error") {
      yield { type: "error", error: new Problem(message.code, message.message) };
    } else if (message.type === "ended") {
      const text = segments.map((segment) => segment.text).join(" ");
      yield { type: "finish", text, segments, language, durationInSeconds: message.received / rate };
    }
  }
}

/** @param {{ type: string, rate?: number }} format */
function rateOf({ type, rate }) {
  if (!(type in ENCODINGS)) {
    throw new Problem("unsupported_format", `The format ${type} is not one of ${Object.keys(ENCODINGS).join(", ")}.`);
  }
  if (!rate && type === "audio/pcm") throw new Problem("unsupported_format", "audio/pcm needs a rate.");
  return rate ?? 8_000;
}

/**
 * Yields the pieces of a stream as bytes. (Not all browsers can iterate over a stream.)
 * @param {ReadableStream<Uint8Array | string>} audio
 */
async function* piecesOf(audio) {
  const reader = audio.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield bytesOf(value);
    }
  } finally {
    await reader.cancel();
  }
}

/** @param {Uint8Array | string} data bytes, or bytes in base64 */
function bytesOf(data) {
  return typeof data === "string" ? Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)) : data;
}

/** @param {{ text?: string, word?: string, start: number, end: number }} item */
function timed({ text, word, start, end }) {
  return { text: text ?? word ?? "", startSecond: start, endSecond: end };
}
