// The log of what is not settled: nothing is missing from it, and nothing is in it twice.

import assert from "node:assert/strict";
import test from "node:test";

import { Unsettled } from "../../../clients/javascript/unsettled.js";

/** All audio that the log has to send now. */
function taken(log, most) {
  const bytes = [];
  for (let item; (item = log.take(most)) !== null; ) {
    assert.ok(item.length > 0 && item.length <= most);
    bytes.push(...item);
  }
  return bytes;
}

test("audio is sent from any sample, in pieces of any size", () => {
  const log = new Unsettled();
  const whole = [];
  for (const size of [3, 0, 1, 7, 2, 13]) {
    const piece = Uint8Array.from({ length: size }, (_, i) => whole.length + i);
    log.addAudio(piece);
    whole.push(...piece);
  }
  assert.deepEqual(taken(log, 1_000), whole);
  for (const settled of [0, 1, 3, 5, 11, 13]) {
    log.settle(settled);
    assert.ok(log.start <= settled);
    for (let sample = settled; sample <= 13; sample += 1) {
      for (let most = 1; most < 30; most += 1) {
        log.resumeAt(sample);
        assert.deepEqual(taken(log, most), whole.slice(2 * sample));
        assert.ok(log.allSent);
      }
    }
    log.beginAnew(new Map());
    assert.deepEqual(taken(log, 5), whole.slice(2 * settled));
  }
  assert.equal(log.end, 13);
});

test("a log that keeps nothing", () => {
  const log = new Unsettled("container", 1, false);
  log.addAudio(new Uint8Array(5));
  log.addMessage({ type: "end" });
  assert.equal(log.take(3).length, 3);
  assert.equal(log.take(3).length, 2);
  assert.deepEqual(log.take(3), { type: "end" });
  assert.equal(log.take(3), null);
  assert.equal(log.start, 5);
  assert.ok(log.allSent);
});

test("mu-law is silenced with its own silence", () => {
  const log = new Unsettled("mulaw", 2);
  log.addAudio(Uint8Array.of(1, 2, 3, 4, 5, 6));
  log.beginAnew(new Map([[1, 2]]));
  assert.deepEqual(taken(log, 3), [1, 0xff, 3, 0xff, 5, 6]);
});
