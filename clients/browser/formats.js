// A transcript as a file: plain text, subtitles, JSON. Utterances are the server's finals:
// { start, end, text, language, confidence, words: [{ word, start, end, confidence }] }, in seconds.

import { aligned, columns, units } from "./text.js";

const LINE = 42; // columns in a line of subtitles; a cue has two lines
const CUE_S = 6; // seconds that a cue lasts at most

export const FORMATS = {
  txt: { name: "Text", type: "text/plain", write: asText },
  srt: { name: "Subtitles (SRT)", type: "application/x-subrip", write: asSrt },
  vtt: { name: "Subtitles (WebVTT)", type: "text/vtt", write: asVtt },
  json: { name: "JSON", type: "application/json", write: asJson },
};

export function asText(utterances) {
  return utterances.map(({ text }) => `${text}\n`).join("\n");
}

export function asSrt(utterances) {
  const numbered = cues(utterances).map(
    ({ start, end, text }, i) => `${i + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${text}\n`,
  );
  return numbered.join("\n");
}

export function asVtt(utterances) {
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const blocks = cues(utterances).map(
    ({ start, end, text }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${escaped(text)}\n`,
  );
  return ["WEBVTT\n", ...blocks].join("\n");
}

export function asJson(utterances, about = {}) {
  const said = utterances.map(({ start, end, text, language, confidence, words, problems }) => ({
    ...toTheMillisecond({ start, end }), text, language, confidence, problems, words: words?.map(toTheMillisecond),
  }));
  return `${JSON.stringify({ ...about, utterances: said }, null, 2)}\n`;
}

/** Rounds the times to milliseconds, because sums of fractions have meaningless digits. */
function toTheMillisecond(item) {
  const rounded = (seconds) => Math.round(seconds * 1000) / 1000;
  return { ...item, start: rounded(item.start), end: rounded(item.end) };
}

/** Cuts utterances between words into cues that fit two lines and can be read in time. */
export function cues(utterances) {
  const found = [];
  for (const utterance of utterances) {
    let open = null;
    for (const unit of timedUnits(utterance)) {
      const longer = [...(open?.units ?? []), unit];
      if (!open || lines(longer).length > 2 || unit.end - open.start > CUE_S) {
        open = { start: unit.start, end: unit.end, units: [unit] };
        found.push(open);
      } else {
        open.units = longer;
        open.end = unit.end;
      }
    }
  }
  return found.map(({ start, end, units }) => ({ start, end, text: lines(units).join("\n") }));
}

/** Returns the unbreakable parts of a text with their times, interpolated within words. */
function timedUnits({ start, end, text, words }) {
  const found = aligned(text, words);
  const spans = found.length ? found : [{ start, end, from: 0, to: text.length }];
  const timeAt = (offset, span) =>
    span.start + ((span.end - span.start) * (offset - span.from)) / (span.to - span.from || 1);
  return units(text, LINE).map((unit) => {
    const own = spans.filter(({ from, to }) => from < unit.to && to > unit.from);
    const [first, last] = [own[0] ?? spans[0], own.at(-1) ?? spans.at(-1)];
    return {
      ...unit,
      start: timeAt(Math.max(unit.from, first.from), first),
      end: timeAt(Math.min(unit.to, last.to), last),
    };
  });
}

function lines(units) {
  const found = [];
  for (const { text, space } of units) {
    const longer = found.length ? `${found.at(-1)}${space && " "}${text}` : text;
    if (found.length && columns(longer) <= LINE) found[found.length - 1] = longer;
    else found.push(text);
  }
  return found;
}

/** 3723.4 → 01:02:03,400 */
function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const parts = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) =>
    String(Math.floor(part)).padStart(2, "0"),
  );
  return `${parts.join(":")}${point}${String(ms % 1000).padStart(3, "0")}`;
}
