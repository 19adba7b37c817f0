// The panels for searches: products by words, and the orders of a customer. A panel is shown if the service answers its
// query. The service's own description says whether it does.
import { el, emptyState, keyed, panelHead, setAttribute, setText, setTime } from "./dom.js";
import { count, money, moment, utc } from "./format.js";

/** The query of each panel, with the paths that may answer it. */
const PRODUCTS = ["v1/products/search", "v1/q/product-search"];
const HISTORY = ["v1/customers/{customer}/history", "v1/q/customer-orders"];
/** Time after the last key press before a search is sent. */
const PAUSE_MS = 250;

/** The paths that the service answers, as relative addresses; empty if the service does not list them. */
export async function servedPaths() {
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) return new Set();
    const { paths } = await response.json();
    return new Set(Object.keys(paths ?? {}).map((path) => path.replace(/^\//, "")));
  } catch {
    return new Set();
  }
}

/** @returns {URL} the address of a path, with the value in its `{name}` or as a parameter of this name */
export function address(path, name, value) {
  const part = `{${name}}`;
  // A function, because `$` has a meaning in a text that replaces.
  const url = new URL(path.replace(part, () => encodeURIComponent(value)), document.baseURI);
  if (!path.includes(part)) url.searchParams.set(name, value);
  url.searchParams.set("limit", "10");
  return url;
}

async function ask(url, token, signal) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(url, { headers, signal });
  if (response.ok) return await response.json();
  if (response.status === 401) throw new Error("The service needs a token.");
  throw new Error(`The service answers ${response.status}.`);
}

/**
 * A panel with a search box and the rows that it finds.
 *
 * @param {Element} panel
 * @param {{title: string, label: string, columns: {text: string, class?: string}[], isLive: boolean,
 *   url: (text: string) => URL, key: (row: object) => string,
 *   create: (row: object) => {node: Element, update: (row: object) => void}, none: () => Element}} plan `isLive`: whether
 *   it searches while the user types
 */
function lookupPanel(panel, readToken, plan) {
  const id = `${panel.id}-text`;
  const input = el("input", { id, type: "search", autocomplete: "off", spellcheck: "false", maxlength: "200" });
  const form = el("form", { class: "lookup", role: "search", "aria-labelledby": `${panel.id}-title` },
    el("label", { for: id, text: plan.label }), input,
    el("button", { class: "quiet-button", type: "submit", text: "Search" }));
  const said = el("p", { class: "lookup-said muted", role: "status" });
  const body = el("tbody");
  const table = el("table", { class: "rows", "aria-labelledby": `${panel.id}-title`, hidden: true },
    el("thead", {}, el("tr", {}, ...plan.columns.map(({ text, class: name }) =>
      el("th", { scope: "col", class: name ?? null, text })))), body);
  const vacancy = el("div", { class: "vacancy", hidden: true });
  panel.replaceChildren(panelHead(panel.id, plan.title).head, form, said,
    el("div", { class: "stage stage-list" }, table, vacancy));
  panel.hidden = false;

  let pause = null;
  let asking = null;
  function show(rows, more) {
    table.hidden = rows.length === 0;
    vacancy.hidden = rows.length > 0;
    if (rows.length === 0) vacancy.replaceChildren(plan.none());
    keyed(body, rows, plan.key, plan.create);
    setText(said, rows.length === 0 ? "" : `${count(rows.length)}${more ? " and more" : ""} found.`);
  }
  async function search() {
    clearTimeout(pause);
    asking?.abort();
    const text = input.value.trim();
    if (text === "") {
      table.hidden = true;
      vacancy.hidden = true;
      return setText(said, "");
    }
    const controller = new AbortController();
    asking = controller;
    setAttribute(panel, "aria-busy", "true");
    try {
      const answer = await ask(plan.url(text), readToken(), controller.signal);
      show(answer.rows, answer.next !== null && answer.next !== undefined);
    } catch (error) {
      if (controller.signal.aborted) return;
      table.hidden = true;
      vacancy.hidden = true;
      setText(said, error instanceof TypeError ? "The service cannot be reached." : error.message);
    } finally {
      if (asking === controller) setAttribute(panel, "aria-busy", null);
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  if (plan.isLive) {
    input.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(search, PAUSE_MS);
    });
  }
}

function productRow(product) {
  const [name, category, price, units] = [el("th", { scope: "row" }), el("td", { class: "roomy" }),
    el("td", { class: "number" }), el("td", { class: "number" })];
  const node = el("tr", { "data-product": product.product_id }, name, category, price, units);
  return {
    node,
    update: (now) => {
      setText(name, now.name);
      setText(category, now.category ?? "");
      setText(price, money(now.price, now.currency));
      setText(units, count(Number(now.units_sold)));
    },
  };
}

function historyRow(order) {
  const [name, status, total] = [el("th", { scope: "row" }), el("td"), el("td", { class: "number" })];
  const [time, items] = [el("time"), el("td", { class: "number roomy" })];
  const node = el("tr", { "data-order": order.order_id }, name, status, el("td", { class: "roomy" }, time), items, total);
  return {
    node,
    update: (now) => {
      setText(name, now.order_id);
      setText(status, now.status);
      setTime(time, now.created_at, moment(now.created_at, Date.now()), utc(now.created_at));
      setText(items, count(Array.isArray(now.items) ? now.items.length : null));
      setText(total, now.total === null ? "" : money(now.total, now.currency));
    },
  };
}

/** Shows the panels whose queries the service answers. @param {() => string | null} readToken */
export async function lookupViews({ section, products, history }, readToken) {
  const served = await servedPaths();
  const search = PRODUCTS.find((path) => served.has(path));
  const orders = HISTORY.find((path) => served.has(path));
  section.hidden = search === undefined && orders === undefined;
  if (search !== undefined) {
    lookupPanel(products, readToken, {
      title: "Find products", label: "Words", isLive: true,
      columns: [{ text: "Product" }, { text: "Category", class: "roomy" }, { text: "Price", class: "number" },
        { text: "Sold", class: "number" }],
      url: (text) => address(search, "q", text), key: (row) => row.product_id, create: productRow,
      none: () => emptyState("No product has these words", "Try fewer words, or their beginnings."),
    });
  }
  if (orders !== undefined) {
    lookupPanel(history, readToken, {
      title: "A customer's orders", label: "Customer", isLive: false,
      columns: [{ text: "Order" }, { text: "Status" }, { text: "Created", class: "roomy" },
        { text: "Products", class: "number roomy" }, { text: "Total", class: "number" }],
      url: (text) => address(orders, "customer", text), key: (row) => row.order_id, create: historyRow,
      none: () => emptyState("This customer has no orders", "Check the id. Enter the whole id, such as cust-000001."),
    });
  }
}
