// A transcript as a file: plain text, subtitles, JSON. Utterances are the server's finals:
// { start, end, text, language, confidence, words: [{ word, start, end, confidence }] }, in seconds.

const LINE = 42; // characters in a line of subtitles; a cue has two lines
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
  const said = utterances.map(({ start, end, text, language, confidence, words }) => ({
    ...toTheMillisecond({ start, end }), text, language, confidence, words: words?.map(toTheMillisecond),
  }));
  return `${JSON.stringify({ ...about, utterances: said }, null, 2)}\n`;
}

/** Rounds times: sums of fractions have meaningless digits. */
function toTheMillisecond(item) {
  const rounded = (seconds) => Math.round(seconds * 1000) / 1000;
  return { ...item, start: rounded(item.start), end: rounded(item.end) };
}

/** Cuts utterances between words into cues that fit two lines and can be read in time. */
export function cues(utterances) {
  const found = [];
  for (const { start, end, text, words } of utterances) {
    let open = null;
    for (const word of words?.length ? words : [{ word: text, start, end }]) {
      const longer = open ? `${open.text} ${word.word}` : word.word;
      if (!open || wrapped(longer).length > 2 || word.end - open.start > CUE_S) {
        open = { start: word.start, end: word.end, text: word.word };
        found.push(open);
      } else {
        open.text = longer;
        open.end = word.end;
      }
    }
  }
  return found.map((cue) => ({ ...cue, text: wrapped(cue.text).join("\n") }));
}

function wrapped(text) {
  const lines = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE) lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines;
}

/** 3723.4 → 01:02:03,400 */
function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const parts = [ms / 3_600_000, (ms / 60_000) % 60, (ms / 1000) % 60].map((part) =>
    String(Math.floor(part)).padStart(2, "0"),
  );
  return `${parts.join(":")}${point}${String(ms % 1000).padStart(3, "0")}`;
}
