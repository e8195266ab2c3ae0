// Streams a file with @deepgram/sdk: port, file, mode, version of the endpoint, parameters as JSON.
//
// Modes: `play` sends everything, finalizes and closes; `hang` sends and then waits to be killed.

import { readFile } from "node:fs/promises";
import { DeepgramClient } from "@deepgram/sdk";

const HEADER_BYTES = 44;
const [port, path, mode, version, given] = process.argv.slice(2);
const { api_key: apiKey = "none", ...parameters } = JSON.parse(given);
const file = await readFile(path);
const rate = file.readUInt32LE(24);
const audio = file.subarray(HEADER_BYTES);
const PIECE = 2 * Math.round(rate / 10);

const show = (message) => console.log(JSON.stringify(message));

const environment = {
  base: `http://127.0.0.1:${port}`,
  production: `ws://127.0.0.1:${port}`,
  agent: `ws://127.0.0.1:${port}`,
  agentRest: `http://127.0.0.1:${port}`,
};
const client = new DeepgramClient({ apiKey, environment });
const connection = await client.listen[version].connect({
  model: version === "v1" ? "nova-3" : "flux-general-en",
  encoding: "linear16",
  sample_rate: rate,
  reconnectAttempts: 0,
  ...parameters,
});
let ended;
const closed = new Promise((resolve) => (ended = resolve));
connection.on("message", show);
connection.on("error", (error) => show({ type: "failure", error: String(error?.message ?? error) }));
connection.on("close", ended);
connection.connect();
try {
  await connection.waitForOpen();
} catch (error) {
  show({ type: "refused", error: String(error?.message ?? error) });
  process.exit(0);
}
for (let at = 0; at < audio.length; at += PIECE) connection.sendMedia(audio.subarray(at, at + PIECE));
if (mode === "hang") {
  setInterval(() => {}, 1000);
} else {
  if (version === "v1") {
    connection.sendKeepAlive({ type: "KeepAlive" });
    connection.sendFinalize({ type: "Finalize" });
  }
  connection.sendCloseStream({ type: "CloseStream" });
  await closed;
  process.exit(0);
}
