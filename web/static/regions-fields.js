// The fields of a rule.
import { make } from "./dom.js";

/**
 * A control with its words before it.
 * @param {string} words
 * @param {HTMLElement} control
 */
export function labelled(words, control) {
  return make("label", "rule-row", make("span", "", words), control);
}

/**
 * @param {number | null} value
 * @param {string} label for those who do not see the words around it
 * @param {number} least
 * @param {number} most
 * @param {(value: number | null) => void} changed
 */
export function number(value, label, least, most, changed) {
  const input = make("input", "region-field number-field");
  input.type = "number";
  input.step = "any";
  input.min = String(least);
  input.max = String(most);
  input.value = value === null ? "" : String(value);
  if (label) input.setAttribute("aria-label", label);
  input.addEventListener("input", () => changed(input.value === "" || !input.validity.valid ? null : input.valueAsNumber));
  return input;
}
