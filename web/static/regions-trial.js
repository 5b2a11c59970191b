// What a rule would have done in the last hour.
import { make } from "./dom.js";
import { when } from "./when.js";
import { REFERENCE } from "./turn.js";

/**
 * @typedef {object} Trial the answer of `POST …/rules/test`
 * @property {string} [since]
 * @property {string} [until]
 * @property {number} count
 * @property {{at: string, text: string, track_ids: number[], thumb?: string}[]} items
 */

/**
 * How much there was to look through, and what came of it.
 * @param {Trial} trial
 */
export function trialWords({ since, until, count }) {
  if (!since || !until) return "Nothing is recorded yet. Try again in a minute.";
  const minutes = Math.round((Date.parse(until) - Date.parse(since)) / 60_000);
  const span = minutes < 1 ? "the last minute, which is all there is yet," : minutes >= 59 ? "the last hour" : `the last ${minutes} min`;
  if (!count) return `In ${span} it would not have raised an alert.`;
  return `In ${span} it would have raised ${count === 1 ? "one alert" : `${count} alerts`}.`;
}

/**
 * @param {HTMLElement} root
 * @param {Trial} trial
 */
export function showTrial(root, trial) {
  const summary = make("p", "trial-summary", trialWords(trial));
  summary.setAttribute("role", "status");
  const rows = [...trial.items].reverse().map((fired) => {
    const picture = make("div", "trial-picture");
    if (fired.thumb) {
      const image = make("img");
      image.src = fired.thumb;
      image.alt = "";
      image.loading = "lazy";
      image.addEventListener("error", () => image.remove());
      picture.append(image);
    }
    const text = fired.text.replace(REFERENCE, "#$1");
    return make("li", "trial-row", picture, make("span", "", text), make("time", "foot", when(fired.at, Date.now())));
  });
  root.replaceChildren(summary, make("ol", "trial-list", ...rows));
  if (trial.count > trial.items.length) root.append(make("p", "foot", `The newest ${trial.items.length} are shown.`));
}
