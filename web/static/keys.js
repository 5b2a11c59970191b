// Single keys, where no field is being typed in.

/** Those that also act where no single picture is on screen. */
const EVERYWHERE = new Set(["g", "?", "Escape"]);

/**
 * @param {Record<string, () => void>} keys from `event.key`, letters in lower case
 */
export function listenKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = keys[key];
    if (!act || (document.documentElement.dataset.view && !EVERYWHERE.has(key))) return;
    // Escape goes on to close what the browser has open.
    if (event.key !== "Escape") event.preventDefault();
    act();
  });
}

/**
 * Keep what is typed from now on for a field that is still to come. The function that is returned ends that.
 * @returns {() => { text: string, entered: boolean }}
 */
export function keepTyped() {
  let [text, entered] = ["", false];
  /** @param {KeyboardEvent} event */
  const keep = (event) => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") entered ||= !event.repeat;
    else if (event.key === "Backspace") text = text.slice(0, -1);
    else if (event.key.length === 1) text += entered ? "" : event.key;
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("keydown", keep, { capture: true });
  return () => {
    document.removeEventListener("keydown", keep, { capture: true });
    return { text, entered };
  };
}
