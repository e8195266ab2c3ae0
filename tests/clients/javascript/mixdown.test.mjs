// The page's mixing of channels: what is in them never cancels.

import assert from "node:assert/strict";
import test from "node:test";

import { Mixdown, mixed } from "../../../clients/javascript/mixdown.js";

const RATE = 16_000;

/** Noise that repeats exactly, in -height..height. */
function noise(length = RATE, height = 0.3, seed = 1) {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return ((2 * state) / 2_147_483_647 - 1) * height;
  });
}

const times = (samples, gain) => samples.map((sample) => gain * sample);
const silent = (length = RATE) => new Float32Array(length);
const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

function close(found, expected, most = 1e-6) {
  assert.equal(found.length, expected.length);
  const apart = found.reduce((worst, sample, i) => Math.max(worst, Math.abs(sample - expected[i])), 0);
  assert.ok(apart <= most, `${apart} apart`);
}

for (const gain of [1, 0.3, -0.3, -1]) {
  test(`two channels of one voice, the second times ${gain}`, () => {
    const voice = noise();
    close(mixed([voice, times(voice, gain)], RATE), times(voice, (1 + Math.abs(gain)) / 2));
  });
}

test("a silent channel makes the other no quieter", () => {
  close(mixed([silent(), noise()], RATE), noise());
});

test("two voices are their sum", () => {
  const [one, other] = [noise(), noise(RATE, 0.2, 32_452_843)];
  close(mixed([one, other], RATE), one.map((sample, i) => (sample + other[i]) / 2));
});

test("the dialogue of a film keeps its level", () => {
  const music = [104_729, 7_368_787, 15_485_863, 179_424_673, 982_451_653].map((seed) => noise(RATE, 0.1, seed));
  const dialogue = noise();
  const heard = mixed([music[0], music[1], dialogue, music[2], music[3], music[4]], RATE);
  const rest = heard.map((sample, i) => sample - dialogue[i]);
  assert.ok(power(heard) > 0.95 * power(dialogue));
  assert.ok(power(rest) < power(music[0]));
});

test("one channel is left as it is", () => close(mixed([noise()], RATE), noise()));

test("any chunks give the same samples", () => {
  const channels = [noise(5_000), times(noise(5_000), -0.7), noise(5_000, 0.1, 9)];
  const whole = mixed(channels, RATE);
  for (const size of [1, 128, 320, 999]) {
    const mixdown = new Mixdown(3, RATE);
    const pieces = [];
    for (let at = 0; at < 5_000; at += size) {
      pieces.push(...mixdown.feed(channels.map((channel) => channel.subarray(at, at + size))));
    }
    pieces.push(...mixdown.flush());
    close(Float32Array.from(pieces), whole, 0);
  }
});
