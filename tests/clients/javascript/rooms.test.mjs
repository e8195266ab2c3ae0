// Rooms, and tokens, over HTTP.

import assert from "node:assert/strict";
import test from "node:test";

import { ConnectionLost, createToken, listRooms, readRoom, ServerError } from "../../../clients/javascript/index.js";
import { withServer } from "./fakes.mjs";

const event = (message) => `data: ${JSON.stringify(message)}\n\n`;
const line = (text) => ({ type: "final", line: 1, speaker: "Ada", start: 0, end: 1, text });

test("messages are read whatever pieces they come in, without heartbeats", async () => {
  const bytes = Buffer.from(`retry: 2000\n\n${event(line("Grüße 👋"))}${event({ type: "heartbeat" })}${event(line("b"))}`);
  const respond = async ({ headers, url }, response) => {
    assert.equal(headers.authorization, "Bearer key");
    assert.equal(url, "/v1/rooms/stand%20up/events");
    for (const byte of bytes) {
      response.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await withServer(respond, async (address) => {
    const seen = [];
    for await (const message of readRoom(address, "stand up", { token: "key" })) {
      seen.push(message.text);
      if (seen.length === 2) break;
    }
    assert.deepEqual(seen, ["Grüße 👋", "b"]);
  });
});

test("a lost connection is opened again, and a busy server is asked again", async () => {
  let requests = 0;
  const respond = (_, response) => {
    requests += 1;
    if (requests === 2) response.writeHead(503).end();
    else response.end(event(line(`${requests}`)));
  };
  await withServer(respond, async (address) => {
    const seen = [];
    const waits = [];
    for await (const { text } of readRoom(address, "a", { onLost: (ms) => waits.push(ms) })) {
      seen.push(text);
      if (seen.length === 2) break;
    }
    assert.deepEqual(seen, ["1", "3"]);
    assert.equal(waits.length, 2);
    assert.ok(waits[0] > 100 && waits[1] > waits[0]);
  });
});

test("a signal stops the reading, also while nothing is said", async () => {
  const stop = new AbortController();
  await withServer((_, response) => response.write(event(line("a"))), async (address) => {
    for await (const { text } of readRoom(address, "a", { signal: stop.signal })) {
      assert.equal(text, "a");
      setTimeout(() => stop.abort(), 20);
    }
  });
});

test("a refusal is thrown", async () => {
  await withServer((_, response) => response.writeHead(401).end(), async (address) => {
    for (const read of [readRoom(address, "a").next(), listRooms(address), createToken(address, "k", { purpose: "stream" })]) {
      await assert.rejects(read, (error) => error instanceof ServerError && error.code === "not_authorised");
    }
  });
  await withServer((_, response) => response.writeHead(404).end("There is no such room.\n"), async (address) => {
    await assert.rejects(readRoom(address, "a").next(), { code: "http_404", message: "There is no such room." });
  });
});

test("a server that is not there is thrown for the first connection", async () => {
  let gone = "";
  await withServer(() => {}, async (address) => (gone = address));
  await assert.rejects(readRoom(gone, "a").next(), (error) => error instanceof ConnectionLost && error.code === "away");
});

test("a token is requested with the key and the purpose", async () => {
  const respond = async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const { method, url, headers } = request;
    response.end(JSON.stringify({ token: [method, url, headers.authorization, body].join(" "), expires_at: 7 }));
  };
  await withServer(respond, async (address) => {
    const answer = await createToken(address, "key", { purpose: "read", room: "standup" });
    assert.equal(answer.token, 'POST /v1/tokens Bearer key {"purpose":"read","room":"standup"}');
    assert.equal(answer.expires_at, 7);
  });
});
