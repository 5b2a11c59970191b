// What narrows a rule: its times of the week, and the size and speed of objects.
import { make } from "./dom.js";
import { checkbox } from "./dialogs.js";
import { labelled, number } from "./regions-fields.js";

/** @typedef {import("./regions-words.js").RuleDraft} RuleDraft */
/** @typedef {NonNullable<RuleDraft["schedule"]>} Schedule */

/** @type {[Schedule["days"][number], string][]} */
const DAYS = [["mon", "Mo"], ["tue", "Tu"], ["wed", "We"], ["thu", "Th"], ["fri", "Fr"], ["sat", "Sa"], ["sun", "Su"]];
/** @type {[("min_area" | "max_area" | "min_speed" | "max_speed"), string, number, number][]} field, words, unit, most */
const LIMITS = [
  ["min_area", "Larger than, % of the picture", 100, 100],
  ["max_area", "Smaller than, % of the picture", 100, 100],
  ["min_speed", "Faster than, picture heights a second", 1, 100],
  ["max_speed", "Slower than, picture heights a second", 1, 100],
];

/**
 * @param {RuleDraft} rule
 * @param {(change: Partial<RuleDraft>) => void} changed
 */
export function narrowing(rule, changed) {
  const rows = LIMITS.map(([field, words, unit, most]) => {
    const value = rule[field];
    const shown = value == null ? null : Number((unit * value).toFixed(3));
    return labelled(words, number(shown, "", 0, most, (given) => changed({ [field]: given === null ? null : given / unit })));
  });
  return make("div", "rule-limits", ...rows);
}

/**
 * @param {RuleDraft} rule
 * @param {(change: Partial<RuleDraft>) => void} changed
 */
export function scheduling(rule, changed) {
  /** @type {Schedule} */
  const chosen = rule.schedule ?? {
    days: DAYS.map(([day]) => day),
    since: "22:00",
    until: "06:00",
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
  };
  const only = checkbox(Boolean(rule.schedule));
  const fields = make("div", "rule-times");
  const tell = () => {
    fields.hidden = !only.checked;
    changed({ schedule: only.checked ? { ...chosen } : null });
  };
  only.addEventListener("change", tell);
  const days = make("div", "rule-days");
  days.setAttribute("role", "group");
  days.setAttribute("aria-label", "Days");
  for (const [day, words] of DAYS) {
    const box = checkbox(chosen.days.includes(day));
    box.addEventListener("change", () => {
      const others = chosen.days.filter((other) => other !== day);
      // At least one day stays.
      if (!box.checked && !others.length) box.checked = true;
      chosen.days = box.checked ? [...others, day] : others;
      tell();
    });
    days.append(make("label", "rule-day", box, make("span", "", words)));
  }
  fields.append(days, time("From", chosen, "since", tell), time("until", chosen, "until", tell));
  fields.hidden = !rule.schedule;
  return make("div", "rule-schedule", labelled("Only at certain times", only), fields);
}

/**
 * @param {string} words
 * @param {Schedule} schedule
 * @param {"since" | "until"} field
 * @param {() => void} tell
 */
function time(words, schedule, field, tell) {
  const input = make("input", "region-field");
  input.type = "time";
  input.required = true;
  input.value = schedule[field] ?? "00:00";
  input.addEventListener("input", () => {
    if (!input.value) return;
    schedule[field] = input.value;
    tell();
  });
  return make("label", "rule-time", words, input);
}
