// What a TypeScript program writes; tsc checks it against the declarations of the package.

import { connect, ConnectionLost, readRoom, transcribe, type ServerMessage, type Settings } from "distil-stream-client";
import { DistilStream, Microphone } from "distil-stream-client/browser";

const settings: Settings = { language: "en", words: true };

export async function captions(audio: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = [];
  const token = async () => "token";
  for await (const message of transcribe("http://127.0.0.1:8765", audio, { settings, token })) {
    if (message.type === "final") texts.push(message.text, ...(message.words ?? []).map((word) => word.word));
    if (message.type === "partial") texts.push(message.committed + message.tentative);
    // @ts-expect-error: a `progress` has no text
    if (message.type === "progress") texts.push(message.text);
  }
  return texts;
}

export async function stream(): Promise<ServerMessage | undefined> {
  const open = await connect(new URL("http://127.0.0.1:8765"), { reconnectS: Infinity });
  try {
    await open.sendAudio(new Int16Array(160));
    await open.configure({ keyterms: ["Ada"] });
    // @ts-expect-error: the rate of a stream cannot change
    await open.configure({ sample_rate: 8000 });
    await open.finalize(1);
    return (await open.next()).value;
  } catch (error) {
    if (error instanceof ConnectionLost) console.log(error.closeCode, error.code);
    throw error;
  }
}

export async function room(): Promise<string[]> {
  for await (const line of readRoom("http://127.0.0.1:8765", "standup")) {
    if (line.type === "final") return [line.speaker, line.text];
  }
  return [];
}

export async function page(): Promise<void> {
  const captions = new DistilStream({
    // @ts-expect-error: not a setting
    settings: { langauge: "de" },
    microphone: { deviceId: (await Microphone.list())[0]?.id },
    onFinal: ({ text }) => console.log(text.length),
  });
  await captions.start();
  const problem = await captions.finished;
  console.log(problem?.code);
}
