// The panels about orders: the number in each status, the durations of the steps, the products, and the latest orders.
import { el, emptyState, icon, keyed, panelHead, setAttribute, setIcon, setText, setTime } from "./dom.js";
import { count, duration, moment, money, percent, sinceDay, utc } from "./format.js";
import { durationScale, funnel, topProducts } from "./series.js";
import { windowName } from "./sales.js";
import { NEW_ORDER_MS } from "./state.js";

const STATUSES = [
  "incomplete", "created", "confirmed", "paid", "shipped", "partially_delivered", "delivered", "cancelled",
];
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1).replaceAll("_", " ");
const statusIcon = (status) => (STATUSES.includes(status) ? `s-${status}` : "i-unknown");

/** A table. `note` is the text that replaces it while there are no rows. */
function tablePanel(panel, title, columns, controls = []) {
  const { head, hint } = panelHead(panel.id, title, ...controls);
  const body = el("tbody");
  const heads = columns.map((column) => el("th", { scope: "col", class: column.class ?? null, text: column.text }));
  const table = el("table", { class: "rows", "aria-labelledby": `${panel.id}-title` },
    el("thead", {}, el("tr", {}, ...heads)), body);
  const vacancy = el("div", { class: "vacancy", hidden: true });
  const stage = el("div", { class: "stage stage-list" }, table, vacancy);
  table.hidden = true;
  panel.replaceChildren(head, stage);
  return {
    hint, heads,
    show: (rows, key, create, empty) => {
      table.hidden = rows.length === 0;
      vacancy.hidden = rows.length > 0;
      if (rows.length === 0) vacancy.replaceChildren(empty());
      keyed(body, rows, key, create);
    },
  };
}

function bar() {
  const fill = el("i", { class: "bar-fill" });
  return { node: el("span", { class: "bar", "aria-hidden": "true" }, fill), fill };
}

export function funnelView(panel) {
  const table = tablePanel(panel, "Orders by status", [
    { text: "Status" }, { text: "Now", class: "number" }, { text: "Reached", class: "number roomy" },
  ]);
  function create(row) {
    const { node: track, fill } = bar();
    const reached = el("i", { class: "bar-reached" });
    track.prepend(reached);
    const orders = el("td", { class: "number" });
    const share = el("td", { class: "number muted roomy" });
    const node = el("tr", { class: `status-row status-${row.status}` },
      el("th", { scope: "row" }, el("span", { class: "lead" },
        el("span", { class: "status" }, icon(statusIcon(row.status)), capital(row.status)), track)),
      orders, share);
    return {
      node,
      update: (now) => {
        setText(orders, count(now.orders));
        setText(share, now.total > 0 ? percent(now.reached ?? now.orders, now.total) : "–");
        fill.style.inlineSize = now.orders > 0 ? `max(3px, ${now.share * 100}%)` : "0";
        reached.style.inlineSize = now.total > 0 ? `${((now.reached ?? 0) / now.total) * 100}%` : "0";
      },
    };
  }
  return (data) => {
    const { steps, aside, total } = funnel(data.statuses);
    setText(table.hint, total > 0 ? `${count(total)} of all time, all currencies` : "All time, all currencies");
    const rows = total > 0 ? [...steps, ...aside].map((row) => ({ ...row, total })) : [];
    table.show(rows, (row) => row.status, create, () => emptyState("No orders yet",
      "An order is counted after its first event."));
  };
}

export function durationsView(panel) {
  const { head, hint } = panelHead(panel.id, "Time from order to …");
  const list = el("tbody");
  const table = el("table", { class: "rows spans", "aria-labelledby": `${panel.id}-title` },
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: "Step" }),
      el("th", { scope: "col", class: "number", text: "Median" }),
      el("th", { scope: "col", class: "number", text: "95 % in" }))), list);
  const vacancy = el("div", { class: "vacancy", hidden: true });
  table.hidden = true;
  panel.replaceChildren(head, el("div", { class: "stage stage-list" }, table, vacancy));

  function create(row) {
    const span = el("i", { class: "span-fill" });
    const half = el("i", { class: "span-half" });
    const orders = el("span");
    const p50 = el("td", { class: "number" });
    const p95 = el("td", { class: "number" });
    const node = el("tr", { class: `span-row step-${row.step}` },
      el("th", { scope: "row" },
        el("span", { class: "lead" }, el("span", { class: "status" }, icon(statusIcon(row.step)), capital(row.step)),
        el("span", { class: "sub" }, orders, el("span", { class: "roomy", text: " orders" })),
        el("span", { class: "span-track", "aria-hidden": "true" }, span, half))), p50, p95);
    return {
      node,
      update: (now) => {
        setText(orders, count(now.orders));
        setText(p50, duration(now.p50Ms));
        setText(p95, duration(now.p95Ms));
        span.style.insetInlineStart = `${now.from * 100}%`;
        span.style.inlineSize = `${Math.max(0, now.to - now.from) * 100}%`;
        half.style.insetInlineStart = `${now.from * 100}%`;
      },
    };
  }
  return (data) => {
    const rows = durationScale(data.durations.filter((row) => row.orders > 0));
    setText(hint, capital(sinceDay(data.from)));
    table.hidden = rows.length === 0;
    vacancy.hidden = rows.length > 0;
    if (rows.length === 0) {
      vacancy.replaceChildren(emptyState("No order has reached this step",
        "This shows how long payment, shipment and delivery take, as soon as there are any."));
    }
    keyed(list, rows, (row) => row.step, create);
  };
}

export function productsView(panel) {
  let by = "revenue";
  let last = null;
  const buttons = ["revenue", "units"].map((name) => el("button", {
    type: "button", value: name, "aria-pressed": String(name === by), text: capital(name),
    onclick: () => {
      by = name;
      buttons.forEach((button) => setAttribute(button, "aria-pressed", String(button.value === by)));
      if (last) show(...last);
    },
  }));
  const table = tablePanel(panel, "Top products", [
    { text: "Product" }, { text: "Units", class: "number" }, { text: "Revenue", class: "number" },
  ], [el("div", { class: "switch", role: "group", "aria-label": "Top products by" }, ...buttons)]);

  function create(product) {
    const { node: track, fill } = bar();
    const units = el("td", { class: "number" });
    const revenue = el("td", { class: "number" });
    const name = el("span", { class: "name", title: product.productId });
    const node = el("tr", {}, el("th", { scope: "row" }, el("span", { class: "lead" }, name, track)), units, revenue);
    return {
      node,
      update: (now) => {
        setText(name, now.name);
        setText(units, count(now.units));
        const [amount] = now.amounts;
        setText(revenue, now.amounts.length === 1
          ? money(amount.revenue, amount.currency) : `${now.amounts.length} currencies`);
        setAttribute(revenue, "title", now.amounts.map((one) => money(one.revenue, one.currency)).join(", "));
        fill.style.inlineSize = `${now.share * 100}%`;
      },
    };
  }
  function show(data, view) {
    last = [data, view];
    // Revenue can be compared only within one currency. Numbers of pieces can be compared always.
    const currency = by === "revenue" ? view.currency ?? view.currencies[0] ?? null : null;
    const rows = topProducts(data.topProducts, by, currency);
    const scope = currency === null ? "all currencies" : `sold in ${currency}`;
    setText(table.hint, `${capital(sinceDay(data.from))}, ${scope}`);
    table.show(rows, (row) => row.productId, create, () => emptyState("Nothing sold",
      currency === null ? "A product counts on the day on which its order is paid."
        : `Nothing was paid in ${currency} in ${windowName(data.window)}.`));
  }
  return show;
}

export function latestView(panel) {
  const table = tablePanel(panel, "Latest orders", [
    { text: "Order" }, { text: "Customer", class: "roomier" }, { text: "Status" },
    { text: "Items", class: "number roomier" }, { text: "Amount", class: "number" },
    { text: "Created", class: "number roomy" },
  ]);
  setText(table.hint, "All currencies");
  function create(order) {
    const sign = icon(statusIcon(order.status));
    const status = el("span");
    const badge = el("span", { class: "badge", text: "New", hidden: true });
    const customer = el("td", { class: "roomier muted" });
    const items = el("td", { class: "number roomier" });
    const amount = el("td", { class: "number" });
    // If there is no room for a column with the time, the time is shown below the id.
    const times = [el("time"), el("time", { class: "cramped muted" })];
    const node = el("tr", { "data-order": order.orderId },
      el("th", { scope: "row" }, el("span", { class: "order" },
        el("span", { class: "id", title: order.orderId }, el("bdi", { dir: "ltr", text: order.orderId })),
        el("span", { class: "beside" }, times[1], badge))), customer,
      el("td", {}, el("span", { class: "status" }, sign, status)), items, amount,
      el("td", { class: "number muted roomy" }, times[0]));
    return {
      node,
      update: ({ isNew, now, ...current }) => {
        node.className = `${isNew ? "is-new " : ""}status-row status-${current.status}`;
        badge.hidden = !isNew;
        setIcon(sign, statusIcon(current.status));
        setText(status, capital(current.status));
        setText(customer, current.customerId ?? "–");
        setText(items, count(current.itemCount));
        setText(amount, current.currency ? money(current.totalAmount, current.currency) : "–");
        const at = current.createdAt;
        for (const time of times) setTime(time, at, moment(at, now), utc(at));
      },
    };
  }
  return (data, { newOrders, now }) => {
    const isNew = (order) => now - newOrders.get(order.orderId) < NEW_ORDER_MS;
    // If most orders are new, marks are not useful.
    const marks = data.latestOrders.filter(isNew).length <= data.latestOrders.length / 2;
    const rows = data.latestOrders.map((order) => ({ ...order, isNew: marks && isNew(order), now }));
    table.show(rows, (order) => order.orderId, create, () => emptyState("No orders yet",
      "The newest ten appear here. To play a shop, run", "millrace load --rate 5"));
  };
}
