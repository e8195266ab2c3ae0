// Transcribes a WAV file with Vercel's AI SDK, live and as a recording: `SERVER FILE`.

import { readFile } from "node:fs/promises";
import process from "node:process";

import { experimental_streamTranscribe as streamTranscribe, transcribe } from "ai";
import { createDistilStream } from "distil-stream-client/ai-sdk";

const HEADER_BYTES = 44;
const [server, path] = process.argv.slice(2);
const file = await readFile(path);
const rate = file.readUInt32LE(24);
const model = createDistilStream({ server }).transcription();

const live = streamTranscribe({
  model,
  audio: new Blob([file.subarray(HEADER_BYTES)]).stream(),
  inputAudioFormat: { type: "audio/pcm", rate },
});
let deltas = "";
const finals = [];
for await (const part of live.fullStream) {
  if (part.type === "transcript-delta") deltas += part.delta;
  if (part.type === "transcript-final") finals.push(part.text);
}
console.log(JSON.stringify({
  type: "live",
  deltas,
  finals,
  text: await live.text,
  language: await live.language,
  segments: await live.segments,
  seconds: await live.durationInSeconds,
  model: (await live.responses)[0].modelId,
}));

const recording = await transcribe({ model, audio: file });
console.log(JSON.stringify({
  type: "recording",
  text: recording.text,
  segments: recording.segments,
  seconds: recording.durationInSeconds,
}));
