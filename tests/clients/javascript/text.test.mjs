// Text of the page in scripts with spaces and without, and the subtitles that are made of it.

import assert from "node:assert/strict";
import test from "node:test";

import { asSrt, asVtt, cues } from "../../../clients/browser/formats.js";
import { aligned, columns, units } from "../../../clients/browser/text.js";

const graphemes = (text) => [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);

/** An utterance whose words are its characters, as the server sends scripts without spaces. */
function spelled(text, each = 0.2) {
  const words = graphemes(text).map((word, i) => ({ word, start: i * each, end: (i + 0.9) * each }));
  return { start: 0, end: words.length * each, text, words };
}

const TEXTS = {
  Japanese: "東京駅で「次の電車は何時ですか？」と聞かれたので、時刻表を見た。それは（去年の）古いものだった！",
  Chinese: "他说：“我们明天（星期三）再谈吧。”可是谁也没有回答；大家都在看窗外的雨，雨越下越大……",
  Thai: "ผู้ใหญ่บ้านกำลังเดินทางไปซื้อไมโครโฟนและคอมพิวเตอร์ในกรุงเทพมหานครกับเพื่อนบ้านของเขา",
  Hindi: "क्षत्रियोंस्त्रीत्वज्ञान".repeat(9),
  families: "👩🏽\u200d🚒👨\u200d👩\u200d👧\u200d👦🇨🇭❤️".repeat(12),
};

for (const [name, text] of Object.entries(TEXTS)) {
  for (const utterance of [spelled(text), { start: 0, end: 20, text }]) {
    const how = utterance.words ? "by characters" : "as a whole";
    test(`subtitles of ${name} ${how}`, () => {
      const lines = cues([utterance]).flatMap((cue) => cue.text.split("\n"));
      assert.equal(lines.join(""), text); // no space was added
      assert.ok(lines.length > 1);
      const borders = new Set();
      let at = 0;
      for (const cluster of graphemes(text)) borders.add((at += cluster.length));
      let end = 0;
      for (const line of lines) {
        assert.ok(borders.has((end += line.length)));
        assert.ok(columns(line) <= 42);
        assert.doesNotMatch(line, /^[。、，；！？」）”…っゃゅょー]|[「（“]$/u);
      }
      for (const cue of cues([utterance])) assert.ok(cue.start >= 0 && cue.start < cue.end);
    });
  }
}

test("subtitles of English have their spaces", () => {
  const text = "“Well,” she said (to nobody), “it’s half-past ten!”";
  const words = text.split(" ").map((word, i) => ({ word, start: i, end: i + 0.5 }));
  const [cue] = cues([{ start: 0, end: 9, text, words: words.slice(0, 6) }]);
  assert.equal(cue.text.replace("\n", " "), text);
  assert.match(asSrt([{ start: 0, end: 9, text, words }]), /^1\n00:00:00,000 --> 00:00:0/);
  assert.match(asVtt([{ start: 0, end: 3, text: "a < b", words: [] }]), /a &lt; b/);
});

test("where a line may end", () => {
  const parts = (text) => units(text).map(({ text }) => text);
  assert.deepEqual(parts("It isn't well-known: $5.00"), ["It", "isn't", "well-known:", "$5.00"]);
  assert.deepEqual(parts(" « Bonjour ! » dit-il"), ["« Bonjour ! »", "dit-il"]);
  assert.deepEqual(parts("안녕하세요 세계"), ["안녕하세요", "세계"]);
  assert.deepEqual(parts("行く。「はい」"), ["行く。", "「はい」"]);
  assert.deepEqual(parts(""), []);
  for (const text of Object.values(TEXTS)) {
    for (const { text: part, from, to } of units(text, 21)) {
      assert.equal(text.slice(from, to), part);
      assert.ok(columns(part) <= 21);
    }
  }
});

test("words are found in their text, which may end before them", () => {
  const words = ["今天", "天气", "很好。"].map((word) => ({ word }));
  assert.deepEqual(aligned("今天天气很好。", words).map(({ from, to }) => [from, to]), [[0, 2], [2, 4], [4, 7]]);
  assert.equal(aligned("今天", words).length, 1);
  assert.deepEqual(aligned("another text", words), []);
});
