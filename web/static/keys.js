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
