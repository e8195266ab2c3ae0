// The recorded conversations, replayed by the JavaScript client's stream object.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import {
  ConnectionLost,
  ServerError,
  StreamProtocol,
} from "../../../clients/javascript/protocol.js";

const FOLDER = new URL("../../../clients/conversations/", import.meta.url);

/** A stream object, and what a driver would do with it. */
class Replay {
  constructor({ settings, reconnect_s, silent_s, open_timeout_s, keep_alive }) {
    this.channels = settings.channels ?? 1;
    this.stream = new StreamProtocol(settings, {
      reconnectS: reconnect_s === null ? Infinity : reconnect_s,
      silentS: silent_s,
      openTimeoutS: open_timeout_s,
      keepAlive: keep_alive,
      random: () => 0.5,
    });
  }

  /** Lets a step happen; returns its effects. */
  take({ app, wire, clock }) {
    const { stream } = this;
    let raised = null;
    try {
      if (clock !== undefined) stream.receiveTime(clock);
      else if (app) this.#do(app);
      else this.#arrive(wire);
    } catch (error) {
      if (!(error instanceof ConnectionLost || error instanceof ServerError)) throw error;
      raised = described(error);
    }
    const sent = wire?.connected ? [JSON.parse(stream.startMessage())] : [];
    for (let frame; (frame = stream.nextFrame()) !== null; ) {
      sent.push(typeof frame === "string" ? JSON.parse(frame) : frame);
    }
    return {
      socket: stream.actionsToTake(),
      sent,
      told: stream.eventsToTell(),
      raised,
      state: stream.state,
      failure: stream.failure && described(stream.failure),
    };
  }

  #do({ open, audio, send, reconnect_now, close }) {
    const { stream } = this;
    if (open) stream.open();
    else if (audio) stream.sendAudio(this.audio(audio));
    else if (send) stream.sendMessage(send);
    else if (reconnect_now) stream.reconnectNow();
    else if (close) stream.close();
    else assert.fail("no such action");
  }

  #arrive({ connected, message, text, lost, refused }) {
    const { stream } = this;
    if (connected) stream.receiveConnected();
    else if (message) stream.receiveMessage(JSON.stringify(message));
    else if (text) stream.receiveMessage(text);
    else if (lost !== undefined) stream.receiveLost(new ConnectionLost("Lost.", lost));
    else if (refused) stream.receiveRefusal(new ServerError(refused, "No."));
    else assert.fail("no such message");
  }

  /** pcm_s16le, channels interleaved: each sample is another number. */
  audio([first, end], silent = {}) {
    const data = new DataView(new ArrayBuffer(2 * this.channels * (end - first)));
    for (let n = first, at = 0; n < end; n += 1) {
      for (let c = 0; c < this.channels; c += 1, at += 2) {
        const [begin, until] = silent[c] ?? [0, 0];
        data.setUint16(at, begin <= n && n < until ? 0 : (n * 7 + c * 1000 + 1) % 32768, true);
      }
    }
    return new Uint8Array(data.buffer);
  }
}

function described(error) {
  return error instanceof ServerError ? { code: error.code } : { close_code: error.closeCode };
}

/** Compares, of objects, the fields that are expected; of everything else, all. */
function assertLike(actual, expected, where) {
  if (Array.isArray(expected) && Array.isArray(actual)) {
    assert.equal(actual.length, expected.length, `${where}, not ${JSON.stringify(actual)}`);
    expected.forEach((item, i) => assertLike(actual[i], item, where));
  } else if (isObject(expected) && isObject(actual)) {
    const fields = Object.keys(expected).map((name) => [name, actual[name]]);
    assert.deepEqual(Object.fromEntries(fields), expected, where);
  } else {
    assert.deepEqual(actual, expected, where);
  }
}

function isObject(item) {
  return item !== null && Object.getPrototypeOf(item) === Object.prototype;
}

for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json"))) {
  const { options, steps } = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  test(name, () => {
    const replay = new Replay(options);
    steps.forEach((step, i) => {
      const happened = replay.take(step);
      const expected = { socket: [], sent: [], told: [], raised: null, ...step };
      expected.sent = expected.sent.map((item) =>
        item.audio ? replay.audio(item.audio, item.silent) : item,
      );
      for (const effect of ["socket", "sent", "told", "raised", "state", "failure"]) {
        if (!(effect in expected)) continue;
        const where = `${effect} in step ${i + 1} of ${name}: ${JSON.stringify(step)}`;
        assertLike(happened[effect], expected[effect], where);
      }
    });
  });
}
