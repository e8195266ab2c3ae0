// Decodes a sound file to mono 16-bit samples; the browser decodes what it can play.

import { mixed } from "./mixdown.js";
import { Problem } from "./errors.js";

export const RECORDING_RATE = 16_000; // Hz, the rate of the model

/**
 * Decodes a recording; throws a `Problem` if the browser cannot play it.
 * @param {Blob} file
 */
export async function decode(file) {
  let sound;
  try {
    const context = new OfflineAudioContext(1, 1, RECORDING_RATE);
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Problem("unreadable");
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  return Int16Array.from(
    mixed(channels, RECORDING_RATE), (sample) => Math.max(-1, Math.min(1, sample)) * 32767,
  );
}
