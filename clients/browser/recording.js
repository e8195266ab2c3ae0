// Decodes a sound file to mono 16-bit samples; the browser decodes what it can play.

import { Problem } from "./problem.js";

export const RECORDING_RATE = 16_000; // Hz, the rate of the model

/** Decodes a File or Blob; throws a Problem if it holds no sound. */
export async function decode(file) {
  let sound;
  try {
    const context = new OfflineAudioContext(1, 1, RECORDING_RATE);
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Problem("unreadable");
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  const samples = new Int16Array(sound.length);
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    samples[i] = Math.max(-1, Math.min(1, sum / channels.length)) * 32767;
  }
  return samples;
}
