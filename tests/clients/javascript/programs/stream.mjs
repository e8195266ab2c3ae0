// Streams a file of 16-bit samples in real time, and prints each message: `SERVER FILE RATE`.

import { readFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";

import { Problem, transcribe } from "distil-stream-client";

const [server, path, rate] = process.argv.slice(2);
const PIECE_S = 0.1;

async function* pieces() {
  const audio = await readFile(path);
  const size = 2 * Math.round(PIECE_S * Number(rate));
  for (let at = 0; at < audio.length; at += size) {
    yield audio.subarray(at, at + size);
    await wait(1000 * PIECE_S);
  }
}

const token = () => process.env.TOKEN ?? "";
const onState = (state) => console.log(JSON.stringify({ type: "state", state }));
const settings = { sample_rate: Number(rate), room: "node" };
try {
  for await (const message of transcribe(server, pieces(), { settings, token, onState })) {
    console.log(JSON.stringify(message));
  }
} catch (problem) {
  if (!(problem instanceof Problem)) throw problem;
  console.log(JSON.stringify({ type: "problem", code: problem.code, message: problem.message }));
}
