import assert from "node:assert/strict";
import { test } from "node:test";
import { cut, speaks, spoken } from "../../web/static/sentences.js";
import { Speaker } from "../../web/static/speak.js";

const none = () => "";

/** Cut text that comes in pieces, as a stream does. */
function streamed(text, size) {
  const found = [];
  let rest = "";
  for (let at = 0; at < text.length; at += size) {
    const now = cut(rest + text.slice(at, at + size), false);
    found.push(...now.sentences);
    rest = now.rest;
  }
  return [...found, ...cut(rest, true).sentences].map((sentence) => sentence.trim());
}

const EXAMPLES = [
  ["There are two. They are red! Are they? Yes.", ["There are two.", "They are red!", "Are they?", "Yes."]],
  ["It is 3.5 m long, approx. 2.0 kg. Dr. Smith, e.g. J. Smith, saw it.", ["It is 3.5 m long, approx. 2.0 kg.", "Dr. Smith, e.g. J. Smith, saw it."]],
  ["Das ist z.B. ein Becher. Er ist rot.", ["Das ist z.B. ein Becher.", "Er ist rot."]],
  ["He said “Stop!” and left. Then…  Nothing… at all", ["He said “Stop!” and left.", "Then…", "Nothing… at all"]],
  ["Two things:\n1. A cup [#3].\n2. A person [#5].", ["Two things:", "1. A cup [#3].", "2. A person [#5]."]],
  ["赤いカップです。二つあります！", ["赤いカップです。", "二つあります！"]],
  ["It is **red.** And big.", ["It is **red.**", "And big."]],
];

for (const [text, sentences] of EXAMPLES) {
  test(`sentences, however they come: ${sentences[0]}`, () => {
    for (const size of [1, 2, 3, 7, 1000]) assert.deepEqual(streamed(text, size), sentences, `in pieces of ${size}`);
  });
}

test("a sentence is there as soon as the next one begins", () => {
  assert.deepEqual(cut("It is red. ", false), { sentences: [], rest: "It is red. " });
  assert.deepEqual(cut("It is red. A", false), { sentences: ["It is red. "], rest: "A" });
});

test("what goes on for long is cut where a breath may be taken", () => {
  const long = Array.from({ length: 60 }, (_, i) => `thing ${i}`).join(", ");
  const parts = streamed(long, 11);
  assert.ok(parts.length > 2 && parts.every((part) => part.length <= 240));
  assert.ok(parts.slice(0, -1).every((part) => part.endsWith(",")));
  assert.equal(parts.join(" "), long);
});

test("marks of writing are not spoken", () => {
  const say = (text) => spoken(text, "en", none);
  assert.equal(say("## The **red** _cup_ is `here` 🙂."), "The red cup is here.");
  assert.equal(say("- a [link](https://example.org/x?y) or https://www.example.org/path"), "a link or example.org");
  assert.equal(say("| cup | red |"), "cup, red");
  assert.equal(say("|---|:-:|"), "");
  assert.equal(say("***"), "");
  assert.equal(say("snake_case stays, 2 > 1"), "snake_case stays, 2 > 1");
});

test("objects are named by what they are and their number", () => {
  const label = (id) => ({ 3: "red cup", 5: "Person" })[id] ?? "";
  assert.equal(spoken("[#5] holds [#3], not #9.", "en-GB", label), "person number 5 holds red cup number 3, not number 9.");
  assert.equal(spoken("There is 1 person: [#5].", "en", label), "There is 1 person: number 5.");
  assert.equal(spoken("[#5] hält [#3].", "de-DE", label), "Nummer 5 hält Nummer 3.");
  assert.equal(spoken("[#5]です。", "ja", label), "5です。");
});

test("a voice fits a language whatever its country", () => {
  assert.ok(speaks("en_US", "en-GB") && speaks("de-AT", "de") && !speaks("nl-NL", "en"));
});

/** A speech synthesis that the test drives, with a speaker on it. */
function stage(wish = { rate: 1, voice: null }) {
  const said = [];
  const counts = { cancelled: 0, failed: 0, changes: 0 };
  const synthesis = {
    speak: (utterance) => said.push(utterance),
    cancel: () => (counts.cancelled += 1),
    getVoices: () => [{ voiceURI: "anna", lang: "de-DE" }, { voiceURI: "sam", lang: "en-US" }],
  };
  const speaker = new Speaker({
    synthesis,
    utterance: (text) => ({ text }),
    wish: () => wish,
    label: none,
    change: () => (counts.changes += 1),
    failed: () => (counts.failed += 1),
  });
  return { speaker, said, counts };
}

test("an answer is spoken sentence by sentence while it streams", () => {
  const { speaker, said } = stage({ rate: 1.5, voice: "anna" });
  speaker.begin("q1", "de");
  speaker.add("q1", "Ein Becher. ");
  assert.equal(said.length, 0);
  speaker.add("q1", "Er ist");
  speaker.add("other", "No. Never. Ever");
  assert.deepEqual(said.map(({ text, rate, lang }) => [text, rate, lang]), [["Ein Becher.", 1.5, "de-DE"]]);
  assert.equal(said[0].voice.voiceURI, "anna");
  said[0].onstart();
  said[0].onend();
  assert.equal(speaker.speaking, false);
  assert.equal(speaker.source, "q1");
  speaker.add("q1", " rot.");
  speaker.end("q1");
  assert.equal(said[1].text, "Er ist rot.");
  said[1].onstart();
  said[1].onend();
  assert.equal(speaker.source, null);
});

test("a voice of another language is not used", () => {
  const { speaker, said } = stage({ rate: 1, voice: "anna" });
  speaker.say("Someone came in.", "en-GB");
  assert.equal(said[0].voice, undefined);
  assert.equal(said[0].lang, "en-GB");
});

test("a browser that cannot speak at all says so, and nothing else happens", () => {
  let failed = 0;
  const parts = { synthesis: null, utterance: () => assert.fail(), wish: () => ({ rate: 1, voice: null }), label: none };
  const speaker = new Speaker({ ...parts, change: () => undefined, failed: () => (failed += 1) });
  speaker.begin("q1", "en");
  speaker.add("q1", "One. Two. Three. ");
  speaker.end("q1");
  assert.deepEqual([failed, speaker.speaking, speaker.source], [1, false, null]);
});

test("stopping is silence at once, and late words of that answer stay unsaid", () => {
  const { speaker, said, counts } = stage();
  speaker.begin("q1", "en");
  speaker.add("q1", "One. Two. Three");
  speaker.stop();
  assert.equal(counts.cancelled, 1);
  said[0].onend();
  speaker.add("q1", " goes on. And on. And");
  speaker.end("q1");
  assert.equal(said.length, 1);
  assert.equal(speaker.speaking, false);
});

test("an utterance whose end never comes is ended", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { speaker, said, counts } = stage();
  speaker.say("One. Two.", "en");
  said[0].onstart();
  context.mock.timers.tick(3000 + 140 * 4);
  assert.equal(counts.cancelled, 1);
  assert.deepEqual(said.map(({ text }) => text), ["One.", "Two."]);
  said[0].onend();
  assert.equal(said.length, 2, "an end that comes too late is nobody's");
});

test("a voice that never begins, or that fails, is told once and the rest stays unsaid", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { speaker, said, counts } = stage();
  speaker.say("One. Two.", "en");
  context.mock.timers.tick(4000);
  assert.deepEqual([said.length, counts.failed, speaker.speaking], [1, 1, false]);
  speaker.say("One. Two.", "en");
  said[1].onerror({ error: "synthesis-failed" });
  assert.deepEqual([said.length, counts.failed], [2, 2]);
  speaker.say("One. Two.", "en");
  said[2].onerror({ error: "interrupted" });
  assert.deepEqual([said.length, counts.failed, speaker.speaking], [3, 2, false]);
});
