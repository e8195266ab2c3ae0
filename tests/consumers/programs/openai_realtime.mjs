// Transcribes a file with the realtime client of `openai`: the port of TLS, file, mode, turn detection.
//
// Modes: `play`; `secret`, with a key for browsers that expires; `hang` (waits to be killed). The turn
// detection is JSON; `null` leaves it to this program to commit.

import { readFile } from "node:fs/promises";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const HEADER_BYTES = 44;
const [port, path, mode, turns, key = "none"] = process.argv.slice(2);
const file = await readFile(path);
const rate = file.readUInt32LE(24);
const audio = file.subarray(HEADER_BYTES);
const PIECE = 2 * Math.round(rate / 10);
const detection = JSON.parse(turns);
const show = (message) => console.log(JSON.stringify(message));

const baseURL = `https://localhost:${port}/v1`;
let client = new OpenAI({ baseURL, apiKey: key });
const session = {
  type: "transcription",
  audio: {
    input: {
      format: { type: "audio/pcm", rate },
      transcription: { model: "gpt-4o-transcribe", language: "en" },
      turn_detection: detection,
    },
  },
};
if (mode === "secret") {
  const expires_after = { anchor: "created_at", seconds: 60 };
  const secret = await client.realtime.clientSecrets.create({ session, expires_after });
  show({ type: "secret", session: secret.session });
  client = new OpenAI({ baseURL, apiKey: secret.value });
}
const realtime = new OpenAIRealtimeWS({ intent: "transcription" }, client);
let sent = false;
realtime.on("event", (event) => {
  show(event);
  if (event.type.endsWith(".completed") && sent) realtime.close();
});
realtime.on("error", (error) => show({ type: "failure", error: error.message }));
realtime.socket.on("open", () => {
  if (mode !== "secret") realtime.send({ type: "session.update", session });
  for (let at = 0; at < audio.length; at += PIECE) {
    const piece = audio.subarray(at, at + PIECE).toString("base64");
    realtime.send({ type: "input_audio_buffer.append", audio: piece });
  }
  if (mode === "hang") return show({ type: "hanging" });
  if (detection === null) realtime.send({ type: "input_audio_buffer.commit" });
  sent = true;
});
