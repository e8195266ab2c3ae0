// A TypeScript program with Vercel's AI SDK: the model has the type that the SDK requires.

import { experimental_streamTranscribe as streamTranscribe, transcribe } from "ai";
import { createDistilStream } from "distil-stream-client/ai-sdk";

const model = createDistilStream({ server: "http://127.0.0.1:8765" }).transcription();

export function live(audio: ReadableStream<Uint8Array>): PromiseLike<string> {
  return streamTranscribe({ model, audio, inputAudioFormat: { type: "audio/pcm", rate: 16_000 } }).text;
}

export async function recording(audio: Uint8Array): Promise<string> {
  return (await transcribe({ model, audio })).text;
}
