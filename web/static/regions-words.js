// Rules of zones and lines in plain words, and what a new one begins with. Pure.

/** @typedef {import("./protocol.js").Region} Region */
/** @typedef {import("./protocol.js").RegionRule} RegionRule */
/** @typedef {RegionRule["kind"]} RuleKind */
/** A rule on its way to the server; it has no id until it was saved. @typedef {Omit<RegionRule, "id"> & {id?: string}} RuleDraft */

/** @type {[RuleKind, string][]} what the menu of a zone offers, in the order of how often it is wanted */
export const ZONE_KINDS = [
  ["enter", "enters"], ["leave", "leaves"], ["dwell", "stays in"], ["loiter", "hangs about"], ["count", "are counted in"],
  ["left", "is left behind in"], ["removed", "is taken from"],
];
/** @type {[RuleKind, string][]} */
export const LINE_KINDS = [["cross", "crosses"]];

/** @type {[NonNullable<RegionRule["op"]>, string][]} */
export const COMPARED = [[">=", "at least"], [">", "more than"], ["<=", "at most"], ["<", "fewer than"], ["==", "exactly"]];

/** @type {Partial<Record<RuleKind, number>>} */
const USUAL_SECONDS = { dwell: 10, loiter: 60, left: 30, removed: 10 };
const DAYS = /** @type {const} */ (["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
const DAY_NAMES = { mon: "Mon", tue: "Tue", wed: "Wed", thu: "Thu", fri: "Fri", sat: "Sat", sun: "Sun" };

/** @param {Region} region */
export const kindsOf = (region) => (region.kind === "zone" ? ZONE_KINDS : LINE_KINDS);

/** Whether rules of that kind ask for how long. @param {RuleKind} kind */
export const hasSeconds = (kind) => kind in USUAL_SECONDS || kind === "count";

/**
 * What a rule begins with.
 * @param {RuleKind} kind
 * @returns {RuleDraft}
 */
export function newRule(kind) {
  /** @type {RuleDraft} */
  const rule = { kind, seconds: USUAL_SECONDS[kind] ?? 0, severity: "warn", cooldown_s: 30, enabled: true, sound: false };
  if (kind !== "left" && kind !== "removed") rule.label = "person";
  if (kind === "count") Object.assign(rule, { op: ">=", value: 3 });
  return rule;
}

/** @param {number} seconds */
export function lasting(seconds) {
  if (seconds < 120 || seconds % 60) return `${seconds} s`;
  return seconds < 7200 || seconds % 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;
}

/**
 * A rule as one sentence.
 * @param {RuleDraft} rule
 * @param {Pick<Region, "name">} region
 */
export function ruleSentence(rule, region) {
  const where = region.name;
  const who = rule.label ?? (rule.kind === "left" || rule.kind === "removed" ? "a thing" : "anything");
  const held = rule.seconds ? ` for ${lasting(rule.seconds)}` : "";
  const count = `${COMPARED.find(([op]) => op === rule.op)?.[1] ?? rule.op} ${rule.value} ${rule.label ?? "objects"}`;
  /** @type {Record<RuleKind, string>} */
  const sentences = {
    enter: `${who} enters ${where}`,
    leave: `${who} leaves ${where}`,
    dwell: `${who} stays in ${where}${held}`,
    loiter: `${who} hangs about ${where}${held}`,
    count: `${count} in ${where}${held}`,
    cross: `${who} crosses ${where}${wayWords(rule.direction)}`,
    left: `${who} is left in ${where}${held}`,
    removed: `${who} is taken from ${where}`,
  };
  const narrowed = [...narrowWords(rule), ...(rule.schedule ? [scheduleWords(rule.schedule)] : [])];
  const sentence = [sentences[rule.kind], ...narrowed].join(", ");
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** @param {RuleDraft["direction"]} direction */
function wayWords(direction) {
  if (!direction) return "";
  return direction === "forward" ? " with the arrow" : " against the arrow";
}

/** @param {RuleDraft} rule */
function narrowWords(rule) {
  const share = (/** @type {number} */ value) => `${Number((100 * value).toFixed(1))} %`;
  const words = [];
  if (rule.min_area != null) words.push(`larger than ${share(rule.min_area)} of the picture`);
  if (rule.max_area != null) words.push(`smaller than ${share(rule.max_area)} of the picture`);
  if (rule.min_speed != null) words.push(`faster than ${rule.min_speed} picture heights a second`);
  if (rule.max_speed != null) words.push(`slower than ${rule.max_speed} picture heights a second`);
  return words;
}

/** @param {NonNullable<RuleDraft["schedule"]>} schedule */
export function scheduleWords({ days, since = "00:00", until = "00:00" }) {
  const on = DAYS.filter((day) => days.includes(day));
  const hours = since === until ? "" : ` ${since}–${until}`;
  if (on.length === 7) return hours ? `daily${hours}` : "at all times";
  const weekdays = on.length === 5 && !on.includes("sat") && !on.includes("sun");
  return `${weekdays ? "Mon–Fri" : on.map((day) => DAY_NAMES[day]).join(", ")}${hours}`;
}

/**
 * The first free name such as “Zone 2”.
 * @param {Region["kind"]} kind
 * @param {string[]} taken
 */
export function freeName(kind, taken) {
  const known = new Set(taken);
  for (let n = 1; ; n += 1) {
    const name = `${kind === "zone" ? "Zone" : "Line"} ${n}`;
    if (!known.has(name)) return name;
  }
}
