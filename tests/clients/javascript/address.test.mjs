// The addresses of a server.

import assert from "node:assert/strict";
import test from "node:test";

import { addressOf } from "../../../clients/javascript/address.js";
import { Problem } from "../../../clients/javascript/errors.js";

const STREAMS = {
  "127.0.0.1:8765": "ws://127.0.0.1:8765/v1/stream",
  "http://127.0.0.1:8765": "ws://127.0.0.1:8765/v1/stream",
  "http://127.0.0.1:8765/": "ws://127.0.0.1:8765/v1/stream",
  "https://captions.example/speech/": "wss://captions.example/speech/v1/stream",
  "wss://captions.example/v1/stream": "wss://captions.example/v1/stream",
  "wss://captions.example/v1/stream?token=k#x": "wss://captions.example/v1/stream?token=k",
};

for (const [server, expected] of Object.entries(STREAMS)) {
  test(`streams of ${server}`, () => {
    assert.equal(addressOf(server, "v1/stream", "ws").href, expected);
    assert.equal(addressOf(expected, "v1/rooms", "http").protocol, expected.startsWith("wss") ? "https:" : "http:");
  });
}

for (const server of ["ws://[nonsense", "ftp://captions.example", "http://", ""]) {
  test(`${server} is not an address`, () => {
    const isProblem = (error) => error instanceof Problem && error.code === "bad_address";
    assert.throws(() => addressOf(server, "v1/stream", "ws"), isProblem);
  });
}
