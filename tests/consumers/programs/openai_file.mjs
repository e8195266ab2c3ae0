// Transcribes a recording with `openai`: port, file. Prints the transcript, then the events of a stream.

import { createReadStream } from "node:fs";
import OpenAI from "openai";

const [port, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: "none" });
const request = (more) =>
  client.audio.transcriptions.create({ model: "whisper-1", file: createReadStream(path), ...more });

const whole = await request({ response_format: "verbose_json", timestamp_granularities: ["word"] });
console.log(JSON.stringify(whole));
for await (const event of await request({ stream: true })) console.log(JSON.stringify(event));
