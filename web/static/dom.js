// The few things that every part of the page does with elements. Text from the wire is always set as text.

/**
 * An element that the page's own markup has.
 * @template {Element} T
 * @param {string} selector
 * @param {{new (): T}} type
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function find(selector, type, root = document) {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`the page has no ${selector}`);
  return element;
}

/**
 * A new element with a class and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * A paragraph in which what stands in backticks is shown as code.
 * @param {string} words
 * @param {string} [className]
 */
export function paragraph(words, className = "") {
  const parts = words.split("`").map((part, index) => (index % 2 ? make("code", "", part) : part));
  return make("p", className, ...parts);
}

/**
 * @param {string} name of a symbol in icons.svg
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", new URL(`./icons.svg#${name}`, import.meta.url).pathname + `#${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} label
 * @param {() => void} onClick
 * @param {string} [className]
 */
export function button(label, onClick, className = "button") {
  const element = make("button", className, label);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

/**
 * A button that shows only an icon.
 * @param {string} name
 * @param {string} label
 * @param {() => void} onClick
 */
export function iconButton(name, label, onClick) {
  const element = button("", onClick, "icon-button");
  element.append(icon(name));
  element.setAttribute("aria-label", label);
  element.title = label;
  return element;
}

/**
 * Place a popover beside its anchor, within the window.
 * @param {HTMLElement} popover
 * @param {{x: number, y: number}} corner wanted upper left corner
 */
export function place(popover, { x, y }) {
  const margin = 8;
  const { offsetWidth, offsetHeight } = popover;
  popover.style.setProperty("left", `${Math.max(margin, Math.min(x, innerWidth - offsetWidth - margin))}px`);
  popover.style.setProperty("top", `${Math.max(margin, Math.min(y, innerHeight - offsetHeight - margin))}px`);
}
