// Converts sections of the API to the data of charts and tables. These are pure functions. Counts may be summed over
// currencies, but amounts may not.

const STEP_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const MAX_BUCKETS = 5_000;

/** @returns {number[]} the beginnings of all buckets from `from` to `to`, in ms since 1970 */
export function axis(from, to, resolution) {
  const step = STEP_MS[resolution];
  const first = Math.floor(Date.parse(from) / step) * step;
  const end = Date.parse(to);
  if (!step || !(end - first < step * MAX_BUCKETS)) return [];
  const instants = [];
  for (let at = first; at < end; at += step) instants.push(at);
  return instants;
}

/** @returns {string[]} the existing currencies, those with the most orders first */
export function currencies(data) {
  const orders = new Map(data.totals.map((total) => [total.currency, total.ordersCreated]));
  for (const { currency } of [...data.series, ...data.topProducts, ...data.latestOrders]) {
    if (currency && !orders.has(currency)) orders.set(currency, 0);
  }
  return [...orders].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([currency]) => currency);
}

/**
 * @param {string | null} currency null for all
 * @param {string[]} keys the names of the counts
 * @returns {Object<string, number[]>} for each key a number for each bucket; 0 for buckets that the API left out
 */
export function counts(series, currency, keys, instants) {
  const places = new Map(instants.map((at, place) => [at, place]));
  const found = Object.fromEntries(keys.map((key) => [key, new Array(instants.length).fill(0)]));
  for (const line of series) {
    if (currency !== null && line.currency !== currency) continue;
    for (const bucket of line.buckets) {
      const place = places.get(Date.parse(bucket.at));
      if (place === undefined) continue;
      for (const key of keys) found[key][place] += bucket[key] ?? 0;
    }
  }
  return found;
}

/** @returns {Object<string, string[]>} for each key a decimal for each bucket, with the digits of the API */
export function amounts(series, currency, keys, instants) {
  const places = new Map(instants.map((at, place) => [at, place]));
  const found = Object.fromEntries(keys.map((key) => [key, new Array(instants.length).fill("0")]));
  for (const bucket of series.find((line) => line.currency === currency)?.buckets ?? []) {
    const place = places.get(Date.parse(bucket.at));
    if (place === undefined) continue;
    for (const key of keys) found[key][place] = bucket[key] ?? "0";
  }
  return found;
}

/** @returns {Object<string, number>} the counts of the whole window */
export function countTotals(totals, currency, keys) {
  const found = Object.fromEntries(keys.map((key) => [key, 0]));
  for (const total of totals) {
    if (currency !== null && total.currency !== currency) continue;
    for (const key of keys) found[key] += total[key] ?? 0;
  }
  return found;
}

const TICK_STEPS_MIN = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 4_320, 5_760, 10_080];

/**
 * Selects the buckets with a label: as many whole steps of the local clock as fit.
 *
 * @param {number} most the maximum number of labels
 * @param {(at: number) => number} offsetMin the minutes by which local time is ahead of UTC; days are UTC days
 * @returns {number[]} the indexes of the buckets
 */
export function ticks(instants, resolution, most, offsetMin = (at) => -new Date(at).getTimezoneOffset()) {
  if (instants.length === 0) return [];
  const span = (instants.at(-1) - instants[0] + STEP_MS[resolution]) / 60_000;
  const step = TICK_STEPS_MIN.find((minutes) => minutes * 60_000 >= STEP_MS[resolution] && span / minutes <= most)
    ?? Math.ceil(span / most / 10_080) * 10_080;
  return instants.flatMap((at, place) => {
    const local = at / 60_000 + (resolution === "day" ? 0 : offsetMin(at));
    return local % step === 0 ? [place] : [];
  });
}

/** The statuses of an order in their sequence. A cancelled order has none of them. */
const WAY = ["created", "confirmed", "paid", "shipped", "partially_delivered", "delivered"];

/**
 * @returns {{steps: {status, orders, reached, share}[], aside: {status, orders, share}[], total: number}} `reached`:
 *   the number of orders that have reached at least this status; `share`: the part of all orders, 0 to 1
 */
export function funnel(statuses) {
  const orders = new Map(statuses.map((row) => [row.status, row.orders]));
  const total = statuses.reduce((sum, row) => sum + row.orders, 0);
  const share = (count) => (total > 0 ? count / total : 0);
  let reached = 0;
  const steps = WAY.toReversed().map((status) => {
    const count = orders.get(status) ?? 0;
    reached += count;
    return { status, orders: count, reached, share: share(count) };
  }).toReversed();
  const aside = statuses.filter((row) => !WAY.includes(row.status) && (row.orders > 0 || row.status === "cancelled"))
    .map((row) => ({ status: row.status, orders: row.orders, share: share(row.orders) }));
  if (!orders.has("cancelled")) aside.push({ status: "cancelled", orders: 0, share: 0 });
  return { steps, aside, total };
}

/**
 * The products of one currency by revenue, or of all currencies by units. The API returns the best ten of each.
 *
 * @returns {{productId, name, units, amounts: {currency, revenue}[], share}[]} at most ten, the greatest first;
 *   `share`: the ratio to the first one, 0 to 1
 */
export function topProducts(products, by, currency) {
  const found = new Map();
  for (const { productId, name, units, revenue, ...one } of products) {
    if (by === "revenue" && one.currency !== currency) continue;
    const row = found.get(productId) ?? { productId, name, units: 0, amounts: [] };
    row.units += units;
    row.amounts.push({ currency: one.currency, revenue });
    found.set(productId, row);
  }
  const value = (row) => (by === "units" ? row.units : Number(row.amounts[0].revenue));
  const order = (a, b) => value(b) - value(a) || (a.productId < b.productId ? -1 : 1);
  const rows = [...found.values()].sort(order).slice(0, 10);
  const greatest = rows.length > 0 ? value(rows[0]) : 0;
  return rows.map((row) => ({ ...row, share: greatest > 0 ? value(row) / greatest : 0 }));
}

/**
 * Computes the positions of durations on a common scale. It is logarithmic, because orders are paid within seconds and
 * delivered within days.
 *
 * @returns {{step, orders, p50Ms, p95Ms, from: number, to: number}[]} `from` and `to`: the positions of both, 0 to 1
 */
export function durationScale(durations) {
  const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
  const marks = [1, 10, 100, second, 10 * second, minute, 10 * minute, hour, 6 * hour, day, 7 * day, 30 * day];
  const values = durations.flatMap((row) => [row.p50Ms, row.p95Ms]).filter((ms) => ms > 0);
  if (values.length === 0) return durations.map((row) => ({ ...row, from: 0, to: 0 }));
  const least = marks.findLast((ms) => ms <= Math.min(...values)) ?? 1;
  const most = marks.find((ms) => ms >= Math.max(...values) && ms > least) ?? Math.max(...values);
  const place = (ms) => Math.min(1, Math.max(0, Math.log(Math.max(ms, least) / least) / Math.log(most / least)));
  return durations.map((row) => ({ ...row, from: place(row.p50Ms), to: place(row.p95Ms) }));
}
