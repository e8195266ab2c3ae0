// Text in any script: where a line may end, how wide it is, and which words have which times.

const UNSPACED = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Mymr}\p{sc=Khmr}\p{sc=Tibt}\u3000-\u303f\uff01-\uff65]|\p{Extended_Pictographic}|\p{RI}/u;
const WIDE = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\u3000-\u303f\uff01-\uff60]|\p{Extended_Pictographic}|\p{RI}/u;
// No line begins or ends with these.
const CLOSES = /^(?:[\p{Pe}\p{Pf}!?:;,.%…‥·、。，．：；？！～゛゜々〻ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ]|\p{M})/u;
// A consonant is joined to the next one by these; browsers of before 2024 part them.
const JOINS = /[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0c4d\u0ccd\u0d4d\u0dca\u1039\u17d2]\u200d?$/u;
const OPENS = /[\p{Ps}\p{Pi}]$/u;

/**
 * Returns the parts of a text within which no line may end: words, or Han letters with their
 * punctuation. `space` is the white space before a part, `from` and `to` are its offsets.
 * @param {string} text
 * @param {number} widest columns of a part; a word that is wider is divided
 */
export function units(text, widest = Infinity) {
  const found = [];
  let space = "";
  let at = 0;
  for (const part of segments(text, "word")) {
    const [from, to] = [at, (at += part.length)];
    if (!part.trim()) {
      space = part;
      continue;
    }
    const last = found.at(-1);
    if (last && !mayBreak(last.text, space, part)) {
      last.text += space + part;
      last.to = to;
    } else {
      found.push({ text: part, space, from, to });
    }
    space = "";
  }
  return found.flatMap((unit) => (columns(unit.text) > widest ? divided(unit, widest) : [unit]));
}

/** Returns the width of a text: a Latin letter takes one column, a Han letter two. */
export function columns(text) {
  if (/^[ -~]*$/.test(text)) return text.length;
  return clusters(text).reduce((sum, cluster) => sum + (WIDE.test(cluster) ? 2 : 1), 0);
}

/**
 * Returns the words with their offsets in the text; none if the text has other words. The words may
 * continue after the end of the text.
 * @param {string} text
 * @param {{ word: string }[]} [words]
 */
export function aligned(text, words = []) {
  const found = [];
  let at = 0;
  for (const word of words) {
    if (!text.slice(at).trim()) break;
    const from = text.indexOf(word.word, at);
    if (from < 0 || text.slice(at, from).trim()) return [];
    at = from + word.word.length;
    found.push({ ...word, from, to: at });
  }
  return found;
}

function mayBreak(before, space, after) {
  if (CLOSES.test(after) || OPENS.test(before)) return false;
  return Boolean(space) || UNSPACED.test(before.slice(-2)) || UNSPACED.test(after.slice(0, 2));
}

/** Divides a word that is wider than a line, between grapheme clusters. */
function divided({ text, space, from }, widest) {
  const parts = [];
  for (const cluster of clusters(text)) {
    const last = parts.at(-1);
    if (last && columns(last.text + cluster) <= widest) {
      last.text += cluster;
      last.to += cluster.length;
    } else {
      const begin = last?.to ?? from;
      parts.push({ text: cluster, space: last ? "" : space, from: begin, to: begin + cluster.length });
    }
  }
  return parts;
}

/** Returns the grapheme clusters of a text: its characters as a reader sees them. */
function clusters(text) {
  const found = [];
  for (const cluster of segments(text, "grapheme")) {
    if (JOINS.test(found.at(-1) ?? "")) found[found.length - 1] += cluster;
    else found.push(cluster);
  }
  return found;
}

function segments(text, granularity) {
  if (!globalThis.Intl?.Segmenter) return text.match(/\s+|\p{L}\p{M}*|[^\s\p{L}]/gu) ?? []; // old browsers
  return [...new Intl.Segmenter(undefined, { granularity }).segment(text)].map(({ segment }) => segment);
}
