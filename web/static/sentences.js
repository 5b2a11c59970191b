// A streaming answer as it is spoken: cut into sentences, marks of writing taken out, objects named. Pure.

/** Some browsers' voices fall silent in utterances that last longer than a quarter of a minute. */
const MOST_CHARS = 240;

/** What may end a sentence: marks with a space behind them, East Asian marks, the end of a line. */
const ENDING = /([.!?…]+["'”’»)\]*_`]*)[^\S\n]+|[。！？]+[」』”’]*|\n/gu;

/** Words that end with a dot within a sentence, without it and in lower case. */
const ABBREVIATIONS = new Set(
  ("mr mrs ms dr prof sr jr st no nr nos vs approx ca incl excl etc fig figs vol max min sec hr hrs dept est min. " +
    "bzw ggf usw evtl inkl abb hr fr str tel mme mlle env sra dott sig núm pág").split(" "),
);
const DOTTED = /^(\p{L}\.)+\p{L}$/u;

/** How an object's number is introduced, where it is not simply “3”. @type {Record<string, string>} */
const NUMBER = {
  en: "number", de: "Nummer", fr: "numéro", es: "número", it: "numero", pt: "número", nl: "nummer", sv: "nummer",
  da: "nummer", nb: "nummer", no: "nummer", pl: "numer", cs: "číslo", fi: "numero", tr: "numara", ru: "номер", uk: "номер",
};

/** @param {string} language such as `en-GB` */
const primary = (language) => language.toLowerCase().split("-")[0] ?? "";

/**
 * Cut text at the ends of its sentences.
 * @param {string} text
 * @param {boolean} whole nothing more will come; else what may yet go on is left over
 * @returns {{sentences: string[], rest: string}}
 */
export function cut(text, whole) {
  /** @type {string[]} */
  const sentences = [];
  let from = 0;
  for (const match of text.matchAll(ENDING)) {
    const end = match.index + match[0].length;
    if (match[1] && (!text[end] || goesOn(text.slice(from, match.index), match[1], text.slice(end)))) continue;
    sentences.push(...pieces(text.slice(from, end)));
    from = end;
  }
  const rest = text.slice(from);
  if (whole) return { sentences: [...sentences, ...pieces(rest)].filter((sentence) => sentence.trim()), rest: "" };
  const long = pieces(rest);
  return { sentences: [...sentences, ...long.slice(0, -1)].filter((sentence) => sentence.trim()), rest: long.at(-1) ?? "" };
}

/**
 * Whether a mark stands within a sentence: after an abbreviation, an initial, the number of a list's line.
 * @param {string} before of the same sentence
 * @param {string} mark
 * @param {string} after
 */
function goesOn(before, mark, after) {
  if (/^\p{Ll}/u.test(after)) return true;
  if (mark !== ".") return false;
  const word = /[^\s("'“‘«[]*$/u.exec(before)?.[0] ?? "";
  return ABBREVIATIONS.has(word.toLowerCase()) || DOTTED.test(word) || /^\p{Lu}$/u.test(word) || /^\s*\d+$/.test(before);
}

/**
 * Long text in pieces, cut where a breath may be taken.
 * @param {string} text
 */
function pieces(text) {
  /** @type {string[]} */
  const found = [];
  while (text.length > MOST_CHARS) {
    const head = text.slice(0, MOST_CHARS);
    const pause = Math.max(head.lastIndexOf(", "), head.lastIndexOf("; "), head.lastIndexOf(": "));
    const space = head.lastIndexOf(" ");
    const at = pause > MOST_CHARS / 3 ? pause + 1 : space > 0 ? space : MOST_CHARS;
    found.push(text.slice(0, at));
    text = text.slice(at);
  }
  return [...found, text];
}

/**
 * What to say for a sentence; nothing where it holds no word.
 * @param {string} sentence with Markdown and with objects as `[#3]`
 * @param {string} language that it is in
 * @param {(id: number) => string} label what an object is called, or nothing
 */
export function spoken(sentence, language, label) {
  const plain = sentence
    .replace(/!?\[([^\]#][^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/https?:\/\/(?:www\.)?([^\s/)]+)\S*/g, "$1")
    .replace(/^\s*(?:#{1,6}\s+|>\s*|[-*+•–]\s+)+/, "")
    .replace(/^[\s|:-]*\|[\s|:-]*$/, "")
    .replace(/\s*\|\s*/g, ", ")
    .replace(/\*+|~~|`+|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, "")
    .replace(/\p{Extended_Pictographic}\uFE0F?/gu, "");
  const named = plain.replace(/\[?#(\d{1,9})\]?/g, (_, id, at) => nameOf(Number(id), plain.slice(0, at), language, label));
  const words = named.replace(/\s+/g, " ").replace(/ ([,.;:!?])/g, "$1").replace(/^[,\s]+|[,\s]+$/g, "");
  return /[\p{L}\p{N}]/u.test(words) ? words : "";
}

/**
 * @param {number} id
 * @param {string} before
 * @param {string} language
 * @param {(id: number) => string} label
 */
function nameOf(id, before, language, label) {
  const number = NUMBER[primary(language)];
  const called = label(id).toLowerCase();
  const counted = number ? `${number} ${id}` : String(id);
  // Labels are the user's or the engine's own words: in English unless they say otherwise.
  const said = before.toLowerCase().replace(/[^\p{L}\p{N}]+$/u, "");
  if (!called || primary(language) !== "en" || said.endsWith(called)) return counted;
  return `${called} ${counted}`;
}

/**
 * Whether a voice can speak a language.
 * @param {string} voiceLanguage
 * @param {string} language
 */
export const speaks = (voiceLanguage, language) => primary(voiceLanguage.replace("_", "-")) === primary(language);
