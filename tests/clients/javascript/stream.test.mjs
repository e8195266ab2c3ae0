// A stream over sockets whose server is the test.

import assert from "node:assert/strict";
import test from "node:test";

import { connect, ConnectionLost, ServerError, transcribe } from "../../../clients/javascript/index.js";
import { FakeSocket, nextSocket, withServer } from "./fakes.mjs";

const SERVER = "http://captions.example";
const final = (text) => ({ type: "final", channel: 0, utterance: 1, start: 0, end: 1, text, latency: { endpoint_ms: 500 } });
const progress = (samples) => ({ type: "progress", received: samples, settled: samples });

/** Opens a stream, and accepts it. */
async function opened(options) {
  const known = FakeSocket.sockets.length;
  const opening = connect(SERVER, { WebSocket: FakeSocket, ...options });
  const socket = await nextSocket(known);
  socket.accept();
  return { stream: await opening, socket, next: () => nextSocket(FakeSocket.sockets.length) };
}

test("a token is fetched again before a lost connection is replaced", async () => {
  let fetched = 0;
  const { stream, socket, next } = await opened({ token: async () => `token${(fetched += 1)}` });
  assert.equal(socket.url.href, "ws://captions.example/v1/stream?token=token1");
  const replaced = next();
  socket.close(1006);
  const second = await replaced;
  assert.equal(second.url.searchParams.get("token"), "token2");
  stream.close();
});

test("a token that cannot be fetched is tried again, but not for the first connection", async () => {
  let broken = true;
  const token = () => (broken ? Promise.reject(new Error("no network")) : "token");
  await assert.rejects(connect(SERVER, { WebSocket: FakeSocket, token }), (error) =>
    error instanceof ConnectionLost && error.code === "no_token" && /no network/.test(error.message));
  broken = false;
  const states = [];
  const onState = (state) => {
    states.push(state);
    if (states.length === 3) broken = false;
  };
  const { stream, socket, next } = await opened({ token, onState });
  broken = true;
  const replaced = next();
  socket.close(1006);
  await replaced;
  assert.deepEqual(states, ["live", "waiting", "waiting"]);
  stream.close();
});

test("sending waits while the socket is full", async () => {
  const { stream, socket } = await opened({});
  socket.bufferedAmount = 2 << 20;
  let sent = false;
  const sending = stream.sendAudio(new Int16Array([1, 2, 3])).then(() => (sent = true));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(sent, false);
  assert.equal(socket.sent.length, 1);
  socket.bufferedAmount = 0;
  await sending;
  assert.deepEqual([...socket.sent[1]], [1, 0, 2, 0, 3, 0]);
  stream.close();
});

test("any kind of array of bytes is audio", async () => {
  const { stream, socket } = await opened({});
  const bytes = Uint8Array.from([9, 1, 0, 2, 0, 9]);
  const pieces = [bytes.subarray(1, 5), Buffer.from([1, 0, 2, 0]), new DataView(bytes.buffer, 1, 4), bytes.slice(1, 5).buffer];
  for (const piece of pieces) await stream.sendAudio(piece);
  for (const frame of socket.sent.slice(1)) assert.deepEqual([...frame], [1, 0, 2, 0]);
  assert.equal(socket.sent.length, 1 + pieces.length);
  stream.close();
});

test("transcribe sends everything, and yields up to `ended`", async () => {
  const known = FakeSocket.sockets.length;
  const answering = nextSocket(known).then(async (socket) => {
    socket.accept();
    while (socket.sent.at(-1).type !== "end") await new Promise((resolve) => setTimeout(resolve, 1));
    for (const message of [final("hello"), progress(4)]) socket.tell(message);
    socket.tell({ type: "ended", received: 4, settled: 4, finals: 1, speech_s: 1 });
    socket.close(1000);
    return socket;
  });
  const seen = [];
  const pieces = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6, 7, 8)];
  for await (const message of transcribe(SERVER, pieces, { WebSocket: FakeSocket })) seen.push(message.type);
  assert.deepEqual(seen, ["final", "progress", "ended"]);
  const socket = await answering;
  assert.deepEqual(socket.sent.slice(1, -1).flatMap((frame) => [...frame]), [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("an error of the source is thrown where the messages are read", async () => {
  async function* broken() {
    yield Uint8Array.of(0, 0);
    throw new RangeError("no microphone");
  }
  nextSocket(FakeSocket.sockets.length).then((socket) => socket.accept());
  await assert.rejects(async () => {
    for await (const message of transcribe(SERVER, broken(), { WebSocket: FakeSocket })) assert.ok(message);
  }, RangeError);
});

test("who stops reading early closes the stream", async () => {
  async function* endless() {
    for (;;) {
      yield new Uint8Array(320);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const known = FakeSocket.sockets.length;
  const opening = nextSocket(known);
  opening.then((socket) => {
    socket.accept();
    socket.tell({ type: "speech_started", channel: 0, utterance: 1, time: 0 });
  });
  for await (const message of transcribe(SERVER, endless(), { WebSocket: FakeSocket })) {
    assert.equal(message.type, "speech_started");
    break;
  }
  assert.equal((await opening).readyState, 3);
});

const REFUSALS = [
  { status: 401, ready: 200, code: "not_authorised", kind: ServerError },
  { status: 403, ready: 200, code: "refused", kind: ServerError },
  { status: 404, ready: 200, code: "no_websocket", kind: ServerError },
  { status: 429, ready: 200, code: "busy", kind: ConnectionLost },
  { status: 503, ready: 503, code: "not_ready", kind: ConnectionLost },
  { status: 503, ready: 200, code: "busy", kind: ConnectionLost },
  { status: 426, ready: 200, code: "no_websocket", kind: ConnectionLost },
];

for (const { status, ready, code, kind } of REFUSALS) {
  test(`a handshake that is answered ${status}, and /readyz ${ready}, is ${code}`, async () => {
    const respond = ({ url }, response) => response.writeHead(url === "/readyz" ? ready : status).end("The reason.\n");
    await withServer(respond, async (address) => {
      const known = FakeSocket.sockets.length;
      nextSocket(known).then((socket) => socket.close(1006));
      await assert.rejects(connect(address, { WebSocket: FakeSocket }), (error) => {
        assert.equal(error.code, code);
        if ([401, 403, 429].includes(status)) assert.equal(error.message, "The reason.");
        else assert.match(error.message, /server/i);
        return error instanceof kind;
      });
    });
  });
}

test("a token that is no longer valid ends the stream; a busy server does not", async () => {
  let status = 503;
  await withServer((_, response) => response.writeHead(status).end(), async (address) => {
    const known = FakeSocket.sockets.length;
    const opening = connect(address, { WebSocket: FakeSocket });
    (await nextSocket(known)).accept();
    const stream = await opening;
    FakeSocket.sockets[known].close(1006);
    (await nextSocket(known + 1)).close(1006);
    const third = await nextSocket(known + 2);
    status = 401;
    third.close(1006);
    await assert.rejects(stream.next(), { code: "not_authorised" });
  });
});
