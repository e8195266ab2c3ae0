// A websocket whose server is the test, and a web server.

import { createServer } from "node:http";

/** Has the interface of the browser's WebSocket; `sockets` are all that were opened. */
export class FakeSocket {
  static sockets = [];
  readyState = 0;
  bufferedAmount = 0;
  sent = [];

  constructor(url) {
    this.url = new URL(url);
    FakeSocket.sockets.push(this);
  }

  send(frame) {
    this.sent.push(typeof frame === "string" ? JSON.parse(frame) : frame);
  }

  close(code = 1000) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose({ code, reason: "" });
  }

  accept(ready = {}) {
    this.readyState = 1;
    this.onopen();
    this.tell({ type: "ready", seq: 1, received: 0, resume_token: "t", session: "s", ...ready });
  }

  tell(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

/** Returns the next socket that is opened, once it is. */
export async function nextSocket(known) {
  while (FakeSocket.sockets.length <= known) await new Promise((resolve) => setTimeout(resolve, 1));
  return FakeSocket.sockets[known];
}

/** Runs a web server, which `respond(request, response)` makes up, while `use(address)` runs. */
export async function withServer(respond, use) {
  const server = createServer(respond);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
