// The state of the page, and its change by each message. It uses neither the DOM nor a clock. Times are parameters.

/**
 * @typedef {object} State
 * @property {string} window the window that the user has selected
 * @property {object | null} data the dashboard as of the last event; null before the first
 * @property {string} eventId the id of the last event
 * @property {object} phase the phase of the feed
 * @property {number} ahead the milliseconds by which the server's clock is ahead of this machine's
 * @property {number | null} lostAt the time when the connection was lost; null while there is one
 * @property {Set<string>} changed the sections that the last message changed
 * @property {Map<string, number>} newOrders orders that came while the page was open, with the time when each came
 * @property {{at: number, into: number, out: number}[]} rates the rates of the pipeline while the page was open
 */

/** A section of an update replaces the previous section completely. */
const SECTIONS = ["series", "totals", "statuses", "topProducts", "durations", "latestOrders", "pipeline"];
const ALWAYS = ["asOf", "window", "resolution", "from", "to"];

/** @returns {State} */
export function initialState(window) {
  return {
    window, data: null, eventId: "", phase: { name: "connecting" }, ahead: 0, lostAt: null, changed: new Set(),
    newOrders: new Map(), rates: [],
  };
}

/** The state after the selection of another window. The old data stays until the new window's snapshot comes. */
export function withWindow(state, window) {
  return { ...state, window, eventId: "", changed: new Set() };
}

/**
 * @param {{type: string, data: object, id: string}} event
 * @param {number} at the time when it came
 * @returns {State | null} null if the event cannot be applied without a new snapshot
 */
export function withEvent(state, event, at) {
  if (event.type !== "snapshot" && event.type !== "update") return state;
  if (event.data === null || typeof event.data !== "object") return null;
  const isUpdate = event.type === "update";
  // An empty id means that no event of this window has come yet. The data is that of another window.
  if (isUpdate && (state.data === null || state.eventId === "")) return null;
  const step = isUpdate ? distance(state.eventId, event.id) : 1;
  // An event is missing between the two, so its changes are unknown.
  if (step > 1) return null;
  if (step < 1) return { ...state, changed: new Set() };
  const data = isUpdate ? { ...state.data } : empty();
  const changed = new Set(isUpdate ? [] : SECTIONS);
  for (const key of [...ALWAYS, ...SECTIONS]) {
    if (event.data[key] === undefined) continue;
    data[key] = event.data[key];
    if (SECTIONS.includes(key)) changed.add(key);
  }
  // The axis moves with the time, even if no data changes.
  if (isUpdate && (data.from !== state.data.from || data.to !== state.data.to)) changed.add("series");
  return {
    ...state, data, eventId: event.id, changed,
    newOrders: newOrders(state, data.latestOrders, at), rates: rates(state.rates, data.pipeline, at),
  };
}

export function withPhase(state, phase, at) {
  const lostAt = phase.name === "live" ? null : state.lostAt ?? (phase.name === "waiting" ? at : null);
  return { ...state, phase, lostAt, ahead: phase.ahead ?? state.ahead, changed: new Set() };
}

function empty() {
  return {
    asOf: null, window: "", resolution: "hour", from: null, to: null, series: [], totals: [], statuses: [],
    topProducts: [], durations: [], latestOrders: [], pipeline: null,
  };
}

/**
 * The number of events from one id to another. Ids are `<epoch>-<n>`, and n increases by one with each event of an
 * epoch. From one epoch to another, only a snapshot helps.
 */
export function distance(from, to) {
  const [, epoch, number] = /^(.+)-([0-9]+)$/.exec(from) ?? [];
  const [, nextEpoch, nextNumber] = /^(.+)-([0-9]+)$/.exec(to) ?? [];
  return epoch !== undefined && epoch === nextEpoch ? Number(nextNumber) - Number(number) : Infinity;
}

/** Time during which an order counts as new. */
export const NEW_ORDER_MS = 6_000;

/** An order is new if the page's previous list did not contain it, although that list was long enough for it. */
function newOrders(state, orders, at) {
  const found = new Map([...state.newOrders].filter(([, seen]) => at - seen < NEW_ORDER_MS));
  if (state.data === null) return found;
  const before = new Set(state.data.latestOrders.map((order) => order.orderId));
  const oldest = state.data.latestOrders.at(-1)?.createdAt ?? "";
  for (const order of orders) {
    if (!before.has(order.orderId) && !found.has(order.orderId) && order.createdAt >= oldest) {
      found.set(order.orderId, at);
    }
  }
  return found;
}

/** Time for which the page keeps the rates. */
export const RATES_MS = 300_000;
/** Minimum time between two samples. With it, a line has enough points. */
const RATES_STEP_MS = 1_000;

function rates(before, pipeline, at) {
  const { inPerSecond, outPerSecond } = pipeline?.rates ?? {};
  if (typeof inPerSecond !== "number" || typeof outPerSecond !== "number") return before;
  if (before.length > 0 && at - before.at(-1).at < RATES_STEP_MS) return before;
  return [...before.filter((sample) => at - sample.at <= RATES_MS), { at, into: inPerSecond, out: outPerSecond }];
}
