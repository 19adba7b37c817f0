// Creates elements from data. Texts always become text nodes, so markup in them has no effect.

/**
 * @param {string} tag
 * @param {Object<string, unknown>} [attributes] by name; `text` is the content, `on…` a listener;
 *   null and false are left out
 * @param {...(Node | string | null)} children
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** One of the symbols of the page. It is a decoration, so there must be a text beside it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(svg, name) {
  const use = svg.firstElementChild;
  if (use.getAttribute("href") !== `#${name}`) use.setAttribute("href", `#${name}`);
}

/** Changes the document only if the value differs, so that screen readers do not repeat a text. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** @param {string | null} iso the machine-readable time @param {string} text the visible text @param {string} title */
export function setTime(node, iso, text, title) {
  setText(node, text);
  setAttribute(node, "datetime", iso ?? null);
  setAttribute(node, "title", title || null);
}

const rows = new WeakMap();

/**
 * Makes the children of `parent` correspond to `items`, in their order. A child stays while its key exists. It keeps
 * its focus, and stays open or closed.
 *
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => {node: Element, update: (item: T, place: number) => void}} create
 */
export function keyed(parent, items, key, create) {
  const names = new Set();
  const wanted = items.map((item) => {
    let name = key(item);
    while (names.has(name)) name += "+";
    names.add(name);
    return [name, item];
  });
  const known = rows.get(parent) ?? new Map();
  // Removed children come first. The remaining ones then need not be moved, which would take away their focus.
  for (const [name, row] of known) {
    if (!names.has(name)) row.node.remove();
  }
  const kept = new Map();
  let place = parent.firstElementChild;
  wanted.forEach(([name, item], index) => {
    const row = known.get(name) ?? create(item);
    kept.set(name, row);
    row.update(item, index);
    if (row.node === place) place = place.nextElementSibling;
    else parent.insertBefore(row.node, place);
  });
  rows.set(parent, kept);
}

/** The heading of a panel, with a short muted description and room for controls. */
export function panelHead(id, title, ...controls) {
  const hint = el("p", { class: "hint" });
  const head = el("header", { class: "panel-head" },
    el("div", { class: "panel-title" }, el("h3", { id: `${id}-title`, text: title }), hint),
    controls.length > 0 ? el("div", { class: "panel-controls" }, ...controls) : null);
  return { head, hint };
}

/** The text of a panel that has nothing to show: what this means, and what to do. */
export function emptyState(title, advice, command = null) {
  return el("div", { class: "empty" }, el("p", { class: "empty-title", text: title }), el("p", { text: advice }),
    command === null ? null : el("p", {}, el("code", { text: command })));
}
