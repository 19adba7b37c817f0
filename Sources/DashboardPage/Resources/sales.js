// Orders, revenue and payments of the window: the tiles, and the three charts over time.
import { chartPanel } from "./charts.js";
import { el, emptyState, keyed, setText } from "./dom.js";
import { NOTHING, compactCount, compactMoney, count, duration, money, percent } from "./format.js";
import { amounts, axis, counts, countTotals } from "./series.js";

const WINDOWS = { "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days" };
export const windowName = (window) => `the last ${WINDOWS[window] ?? window}`;

const ORDER_SERIES = [
  { key: "ordersCreated", label: "Created", colour: "--blue", kind: "line", area: true },
  { key: "ordersPaid", label: "Paid", colour: "--green", kind: "line", dash: [7, 3], point: "rectRot" },
  { key: "ordersDelivered", label: "Delivered", colour: "--purple", kind: "line", dash: [2, 2.5], point: "triangle" },
  {
    key: "ordersCancelled", label: "Cancelled", colour: "--vermillion", kind: "line", dash: [8, 3, 2, 3],
    point: "crossRot",
  },
];
const MONEY_SERIES = [
  { key: "revenue", label: "Revenue", colour: "--blue", kind: "bar" },
  { key: "refunds", label: "Refunds", colour: "--orange", kind: "bar", below: true },
];
const FAILURE_SERIES = [{ key: "paymentsFailed", label: "Failed", colour: "--vermillion", kind: "bar" }];
/** Maximum number of separate charts, one for each currency. */
const MAX_CURRENCIES = 3;

/** The tiles. Each shows a number and its parts. */
export function tilesView(parent) {
  function tile(key, label) {
    const values = el("p", { class: "tile-values" });
    const note = el("p", { class: "tile-note" });
    const node = el("article", { class: "tile panel", "data-tile": key }, el("h3", { text: label }), values, note);
    parent.append(node);
    const show = (texts, said) => {
      values.classList.toggle("long", texts[0].length > 11);
      values.classList.toggle("many", texts.length > 3);
      keyed(values, texts.map((text, place) => ({ text, place })), (item) => String(item.place), () => {
        const value = el("span");
        return { node: value, update: (item) => setText(value, item.text) };
      });
      setText(note, said);
    };
    show([NOTHING], "");
    return show;
  }
  const show = {
    orders: tile("orders", "Orders"), revenue: tile("revenue", "Revenue"),
    failures: tile("failures", "Payment failures"), delivered: tile("delivered", "Delivered"),
  };
  return (data, { currency, currencies }) => {
    const all = countTotals(data.totals, currency, [
      "ordersCreated", "ordersPaid", "ordersCancelled", "ordersDelivered", "paymentsCompleted", "paymentsFailed",
    ]);
    const sums = (key) => (currency === null ? currencies : [currency]).map((code) =>
      money(data.totals.find((total) => total.currency === code)?.[key] ?? "0", code));
    show.orders([count(all.ordersCreated)], `${count(all.ordersPaid)} paid, ${count(all.ordersCancelled)} cancelled`);
    const revenue = sums("revenue");
    show.revenue(revenue.length > 0 ? revenue : [count(0)], revenue.length > 1
      ? "Before refunds, by currency" : revenue.length === 1 ? `${sums("refunds")[0]} refunded` : "No currency yet");
    const attempts = all.paymentsCompleted + all.paymentsFailed;
    show.failures([count(all.paymentsFailed)], attempts > 0
      ? `${percent(all.paymentsFailed, attempts)} of ${count(attempts)} attempts` : "No payments yet");
    const delivery = data.durations.find((row) => row.step === "delivered" && row.orders > 0);
    const typical = delivery ? `Median ${duration(delivery.p50Ms)}` : "No deliveries yet";
    show.delivered([count(all.ordersDelivered)], typical);
  };
}

/** The reason why a chart is empty, and what to do. */
function vacancy(data, currency, isOfPayments = false) {
  const hasOrders = data.statuses.some((row) => row.orders > 0);
  if (!hasOrders && isOfPayments) {
    return emptyState("No payments yet", "A payment counts at the time of its event, in its own currency.");
  }
  if (!hasOrders) {
    return emptyState("No orders yet", "They appear here a moment after they are committed. To play a shop, run",
      "millrace load --rate 5");
  }
  return emptyState(`Nothing in ${windowName(data.window)}`, currency === null
    ? "Choose a longer window above." : `Choose a longer window above, or another currency than ${currency}.`);
}

/** The three charts. */
export function chartsView() {
  const orders = chartPanel(document.getElementById("orders-chart"), {
    title: "Orders over time", series: ORDER_SERIES, text: count, tick: compactCount,
  });
  const revenue = chartPanel(document.getElementById("revenue-chart"), {
    title: "Revenue and refunds", series: MONEY_SERIES, text: String,
    tick: (value, currency) => compactMoney(value, currency),
  });
  const failures = chartPanel(document.getElementById("failures-chart"), {
    title: "Payment failures", series: FAILURE_SERIES, text: count, tick: compactCount,
  });

  function show(data, { currency, currencies, serverNow }) {
    const instants = axis(data.from, data.to, data.resolution);
    const frame = { instants, resolution: data.resolution, now: serverNow };
    const ofOrders = currency === null ? (currencies.length > 1 ? ", all currencies" : "") : `, orders in ${currency}`;

    function showCounts(panel, series) {
      const keys = series.map((one) => one.key);
      const values = counts(data.series, currency, keys, instants);
      const totals = countTotals(data.totals, currency, keys);
      const isEmpty = keys.every((key) => totals[key] === 0);
      panel.show({
        hint: `Per ${data.resolution}${ofOrders}`,
        empty: isEmpty ? vacancy(data, currency, series === FAILURE_SERIES) : null,
        plots: [{ name: null, model: { ...frame, values } }],
        legend: Object.fromEntries(keys.map((key) => [key, count(totals[key])])),
      });
    }
    showCounts(orders, ORDER_SERIES);

    const hasFailures = countTotals(data.totals, currency, ["paymentsFailed"]).paymentsFailed > 0;
    const hasPayments = countTotals(data.totals, currency, ["paymentsCompleted"]).paymentsCompleted > 0;
    if (!hasFailures && hasPayments) {
      failures.show({
        hint: `Per ${data.resolution}${ofOrders}`, plots: [], legend: { paymentsFailed: count(0) },
        empty: emptyState("No payment failed", `All of ${windowName(data.window)} went through.`),
      });
    } else {
      showCounts(failures, FAILURE_SERIES);
    }

    const shown = currency === null ? currencies.slice(0, MAX_CURRENCIES) : [currency];
    const hasMoney = data.totals.some((total) =>
      shown.includes(total.currency) && total.paymentsCompleted + total.paymentsRefunded > 0);
    const scope = shown.length < 2 ? shown[0] ?? "no currency yet"
      : shown.length < currencies.length ? `${shown.length} of ${currencies.length} currencies` : "peaks on the left";
    revenue.show({
      hint: `Per ${data.resolution}, ${scope}`,
      empty: hasMoney ? null : vacancy(data, currency, true),
      plots: shown.map((code, place) => ({
        ...moneyPlot(data, code, instants, frame), isSmall: shown.length > 1, isLast: place === shown.length - 1,
      })),
      legend: shown.length === 1 ? Object.fromEntries(["revenue", "refunds"].map((key) =>
        [key, money(data.totals.find((total) => total.currency === shown[0])?.[key] ?? "0", shown[0])])) : {},
    });
  }
  return { show, restyle: () => [orders, revenue, failures].forEach((panel) => panel.restyle()) };
}

/** Refunds are drawn below the zero line, so they can be recognised without a colour. */
function moneyPlot(data, currency, instants, frame) {
  const peak = (values) => compactMoney(Math.max(0, ...values), currency);
  const exact = amounts(data.series, currency, ["revenue", "refunds"], instants);
  const revenue = exact.revenue.map(Number);
  return {
    name: currency, peak: peak(revenue),
    model: {
      ...frame, atLeast: 1,
      values: { revenue, refunds: exact.refunds.map((amount) => -Number(amount)) },
      texts: {
        revenue: exact.revenue.map((amount) => money(amount, currency)),
        refunds: exact.refunds.map((amount) => money(amount, currency)),
      },
    },
  };
}
