// Tests of the modules that do not use the DOM. They run in the browser for which the page is written. test_modules.py
// reads the results.
import { Refused, commandsURL, createOrder, untilShown } from "../../Sources/DashboardPage/Resources/commands.js";
import { Feed, SILENCE_MS, reconnectDelay, retryAfter } from "../../Sources/DashboardPage/Resources/feed.js";
import { connection, health, notices } from "../../Sources/DashboardPage/Resources/judgement.js";
import * as series from "../../Sources/DashboardPage/Resources/series.js";
import { EventStreamParser } from "../../Sources/DashboardPage/Resources/sse.js";
import { duration, money, utc } from "../../Sources/DashboardPage/Resources/format.js";
import {
  distance, initialState, withEvent, withPhase, withWindow,
} from "../../Sources/DashboardPage/Resources/state.js";

const tests = [];
const test = (name, body) => tests.push({ name, body });

function equal(actual, expected, what = "") {
  const [a, e] = [actual, expected].map((value) => JSON.stringify(value));
  if (a !== e) throw new Error(`${what} is ${a}, not ${e}`);
}
function throws(body) {
  try {
    body();
  } catch {
    return;
  }
  throw new Error("nothing was thrown");
}
const bytes = (text) => new TextEncoder().encode(text);

// MARK: sse.js

const STREAM = ": hello\r\nid: a-1\revent: snapshot\ndata: {\"name\":\"Käse, 10 €, 🧀\"}\n\n"
  + "data:no space\ndata:  two\nretry: 250\n\nevent: x\n\nid\ndata\n\n";
const STREAM_ITEMS = [
  { kind: "comment" },
  { kind: "event", type: "snapshot", data: "{\"name\":\"Käse, 10 €, 🧀\"}", id: "a-1" },
  { kind: "retry", ms: 250 },
  { kind: "event", type: "message", data: "no space\n two", id: "a-1" },
  { kind: "event", type: "message", data: "", id: "" },
];

test("a stream reads the same however it is cut", () => {
  const all = bytes(STREAM);
  for (let size = 1; size <= all.length; size += 1) {
    const parser = new EventStreamParser("before");
    const items = [];
    for (let place = 0; place < all.length; place += size) items.push(...parser.push(all.slice(place, place + size)));
    equal(items, STREAM_ITEMS, `cut every ${size}`);
  }
});
test("every line's end cut at every place", () => {
  for (const end of ["\n", "\r", "\r\n"]) {
    const all = bytes(["event: a", "data: 1", "", "data: 2", "", ""].join(end));
    for (let cut = 0; cut <= all.length; cut += 1) {
      const parser = new EventStreamParser();
      const items = [...parser.push(all.slice(0, cut)), ...parser.push(all.slice(cut))];
      // A lone CR at the end may be the first half of a CRLF. The line that it ends is delivered in both cases.
      equal(items.map((item) => [item.type, item.data]), [["a", "1"], ["message", "2"]], JSON.stringify(end));
    }
  }
});
test("a byte order mark, an id with NUL and a bad retry are passed over", () => {
  const items = new EventStreamParser("old").push(bytes("\uFEFFdata: 1\nid: a\0b\nretry: 1s\nunknown: 1\n\n"));
  equal(items, [{ kind: "event", type: "message", data: "1", id: "old" }]);
});
test("an event that is cut off is not told", () => {
  equal(new EventStreamParser().push(bytes("event: a\ndata: 1\n")), []);
});
test("an event without an end is refused", () => {
  const parser = new EventStreamParser();
  const piece = bytes(`data: ${"x".repeat(1 << 20)}`);
  throws(() => {
    for (let n = 0; n < 20; n += 1) parser.push(piece);
  });
});

// MARK: feed.js

test("the wait before an attempt doubles up to a limit, a half of it by chance", () => {
  equal([0, 1, 2].map((attempt) => reconnectDelay(attempt, 1_000, 0)), [500, 1_000, 2_000]);
  equal([0, 1, 2].map((attempt) => reconnectDelay(attempt, 1_000, 0.999_999)), [1_000, 2_000, 4_000]);
  equal(reconnectDelay(1_000, 1_000, 1), 30_000);
  equal(reconnectDelay(0, 0, 0), 50);
});
test("Retry-After in seconds, as a date, and as nonsense", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  equal(["3", "Thu, 01 Jan 2026 00:00:05 GMT", "soon", null, "99999", "-1"].map((header) => retryAfter(header, now)),
    [3_000, 5_000, 0, 0, 300_000, 0]);
});

/** A feed in a world whose clock the test moves, and whose server does what the test says. */
class World {
  constructor(takes = () => true) {
    this.time = 0;
    this.timers = new Map();
    this.requests = [];
    this.events = [];
    this.phases = [];
    this.feed = new Feed("stream", {
      onEvent: (event) => (this.events.push(event), takes(event)),
      onPhase: (phase) => this.phases.push(phase),
      world: {
        fetch: (url, options) => new Promise((resolve, reject) => {
          options.signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
          this.requests.push({ options, resolve, reject });
        }),
        setTimeout: (call, ms) => {
          const timer = Symbol("timer");
          this.timers.set(timer, { at: this.time + ms, call });
          return timer;
        },
        clearTimeout: (timer) => this.timers.delete(timer),
        now: () => this.time,
        random: () => 0,
      },
    });
  }
  get phase() {
    return this.phases.at(-1);
  }
  /** Lets promises settle: some turns of the queue of tasks. */
  async settle() {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve));
  }
  async pass(ms) {
    this.time += ms;
    for (const [timer, { at, call }] of [...this.timers]) {
      if (at <= this.time && this.timers.delete(timer)) call();
    }
    await this.settle();
  }
  /** Answers the last request with a stream that the test writes. */
  async accept(headers = {}) {
    let writer;
    const body = new ReadableStream({ start: (controller) => (writer = controller) });
    const request = this.requests.at(-1);
    request.options.signal.addEventListener("abort", () => {
      try {
        writer.error(new DOMException("aborted", "AbortError"));
      } catch {
        // The body has already ended.
      }
    });
    request.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream", ...headers } }));
    await this.settle();
    return {
      send: async (text) => {
        writer.enqueue(bytes(text));
        await this.settle();
      },
      end: async () => {
        writer.close();
        await this.settle();
      },
    };
  }
  async refuse(status, headers = {}, body = "") {
    this.requests.at(-1).resolve(new Response(body, { status, headers }));
    await this.settle();
  }
  header(name) {
    return this.requests.at(-1).options.headers[name];
  }
}

test("a feed goes on behind the last event that was taken", async () => {
  const world = new World();
  world.feed.start("secret");
  equal([world.header("Authorization"), world.header("Last-Event-ID")], ["Bearer secret", undefined]);
  const stream = await world.accept({ Date: new Date(5_000).toUTCString() });
  equal(world.phase.name, "connecting");
  await stream.send("retry: 2000\n\nid: e-7\nevent: snapshot\ndata: {}\n\n: heartbeat\n\n");
  equal([world.phase, world.events.length], [{ name: "live", ahead: 5_000 }, 1]);
  await stream.end();
  equal([world.phase.name, world.phase.cause, world.phase.until], ["waiting", "network", 1_000]);
  await world.pass(1_000);
  equal([world.requests.length, world.header("Last-Event-ID")], [2, "e-7"]);
});
test("attempts that fail come ever later, and soon again after one that worked", async () => {
  const world = new World();
  world.feed.start(null);
  const waits = [];
  for (let attempt = 0; attempt < 7; attempt += 1) {
    await world.refuse(500);
    waits.push(world.phase.until - world.time);
    await world.pass(world.phase.until - world.time);
  }
  equal(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  const stream = await world.accept();
  await stream.send("id: e-1\nevent: snapshot\ndata: {}\n\n");
  await stream.end();
  equal(world.phase.until - world.time, 500);
});
test("silence ends a connection, heartbeats keep it", async () => {
  const world = new World();
  world.feed.start(null);
  const stream = await world.accept();
  await stream.send("id: e-1\nevent: snapshot\ndata: {}\n\n");
  await world.pass(SILENCE_MS - 1);
  await stream.send(": heartbeat\n\n");
  await world.pass(SILENCE_MS - 1);
  equal(world.phase.name, "live");
  await world.pass(1);
  equal([world.phase.name, world.phase.cause], ["waiting", "silence"]);
});
test("an answer that never comes is given up", async () => {
  const world = new World();
  world.feed.start(null);
  await world.pass(15_000);
  equal([world.phase.name, world.phase.cause], ["waiting", "silence"]);
});
test("goodbye, Retry-After and what is no stream are told apart", async () => {
  const world = new World();
  world.feed.start(null);
  let stream = await world.accept();
  await stream.send("event: goodbye\nretry: 1000\ndata: {\"reason\":\"shutdown\"}\n\n");
  await stream.end();
  equal(world.phase.cause, "goodbye");
  await world.pass(1_000);
  await world.refuse(503, { "Retry-After": "7" }, "{\"title\":\"Busy\"}");
  equal([world.phase.cause, world.phase.detail, world.phase.until - world.time], ["refused", "503 Busy", 7_000]);
  await world.pass(7_000);
  await world.accept({ "Content-Type": "text/html" });
  equal(world.phase.cause, "nonsense");
});
test("what cannot be built upon is followed by a fresh snapshot", async () => {
  const world = new World((event) => event.type !== "update");
  world.feed.start(null);
  for (const broken of ["id: e-2\nevent: update\ndata: {}\n\n", "id: e-2\nevent: snapshot\ndata: {\n\n"]) {
    const stream = await world.accept();
    await stream.send("id: e-1\nevent: snapshot\ndata: {}\n\n");
    await stream.send(broken);
    equal(world.phase.cause, "nonsense");
    await world.pass(60_000);
    equal(world.header("Last-Event-ID"), undefined);
  }
});
test("without the right token it waits for one", async () => {
  const world = new World();
  world.feed.start(null);
  await world.refuse(401);
  equal(world.phase, { name: "token", refused: false });
  await world.pass(1_000_000);
  equal(world.requests.length, 1);
  world.feed.start("wrong");
  await world.refuse(401);
  equal(world.phase, { name: "token", refused: true });
});
test("a feed that was stopped says nothing any more", async () => {
  const world = new World();
  world.feed.start(null);
  const stream = await world.accept();
  world.feed.stop();
  const before = world.phases.length;
  await stream.send("id: e-1\nevent: snapshot\ndata: {}\n\n").catch(() => {});
  await world.pass(1_000_000);
  equal([world.phases.length, world.events.length, world.requests.length], [before, 0, 1]);
});

// MARK: state.js

const order = (orderId, createdAt) => ({ orderId, createdAt });
const snapshot = (id, data = {}) =>
  ({ type: "snapshot", id, data: { from: "f", to: "t", latestOrders: [order("a", "1")], ...data } });
const update = (id, data = {}) => ({ type: "update", id, data: { from: "f", to: "t", ...data } });

test("a snapshot replaces all, an update its sections", () => {
  let state = withEvent(initialState("24h"), snapshot("e-1", { totals: [1], statuses: [2] }), 0);
  equal([state.data.totals, state.data.statuses, state.eventId], [[1], [2], "e-1"]);
  state = withEvent(state, update("e-2", { statuses: [3] }), 1);
  equal([state.data.totals, state.data.statuses, [...state.changed]], [[1], [3], ["statuses"]]);
  state = withEvent(state, update("e-3", { to: "t2" }), 1);
  equal([...state.changed], ["series"], "the axis moved");
  state = withEvent(state, snapshot("f-1"), 2);
  equal([state.data.totals, state.data.statuses], [[], []]);
});
test("an update that was seen changes nothing, one behind a gap needs a snapshot", () => {
  const state = withEvent(initialState("24h"), snapshot("e-5"), 0);
  equal(withEvent(state, update("e-5", { totals: [9] }), 0).data.totals, []);
  equal(withEvent(state, update("e-3", { totals: [9] }), 0).data.totals, []);
  equal(withEvent(state, update("e-7"), 0), null);
  equal(withEvent(state, update("f-6"), 0), null);
  equal(withEvent(initialState("24h"), update("e-1"), 0), null);
  equal(withEvent(withWindow(state, "1h"), update("e-6"), 0), null);
  equal([distance("a-b-1", "a-b-3"), distance("x", "x-1")], [2, null]);
});
test("orders that came while somebody watched are new for a while", () => {
  let state = withEvent(initialState("24h"), snapshot("e-1", { latestOrders: [order("b", "2"), order("a", "1")] }), 0);
  equal(state.newOrders.size, 0);
  state = withEvent(state, update("e-2", { latestOrders: [order("c", "3"), order("b", "2")] }), 1_000);
  equal([...state.newOrders], [["c", 1_000]]);
  // The order returns to the list because a newer one has left it. It does not count as new.
  state = withEvent(state, update("e-3", { latestOrders: [order("b", "2"), order("a", "1")] }), 2_000);
  equal([...state.newOrders.keys()], ["c"]);
  state = withEvent(state, update("e-4"), 20_000);
  equal(state.newOrders.size, 0);
});
test("a connection is lost from the first failure until it works again", () => {
  let state = withPhase(initialState("24h"), { name: "connecting" }, 0);
  equal([state.lostAt, connection(state).text], [null, "Connecting"]);
  state = withPhase(state, { name: "waiting", cause: "network", until: 9 }, 5);
  state = withPhase(state, { name: "connecting" }, 9);
  equal([state.lostAt, connection(state).text], [5, "Disconnected"]);
  state = withPhase(state, { name: "live", ahead: 3 }, 10);
  equal([state.lostAt, state.ahead, connection(state).text], [null, 3, "Live"]);
});
test("rates are remembered for five minutes", () => {
  let state = withEvent(initialState("1h"), snapshot("e-0"), 0);
  for (let n = 1; n <= 800; n += 1) {
    state = withEvent(state, update(`e-${n}`, { pipeline: { rates: { inPerSecond: n, outPerSecond: 0 } } }), n * 500);
  }
  equal([state.rates.length <= 302, state.rates.at(-1).at - state.rates[0].at <= 301_000], [true, true]);
});

// MARK: judgement.js

const seen = (pipeline, asOf = new Date(1_000_000).toISOString()) =>
  withPhase(withEvent(initialState("24h"), snapshot("e-1", { asOf, pipeline }), 0), { name: "live", ahead: 0 }, 0);
const one = (state) =>
  ({ projections: [{ name: "order-summary", state, lagRecords: 5, lagSeconds: 2 }], deadLetters: null, outbox: null });

test("what is wrong is said, the worst first", () => {
  const kinds = (state, now = 1_000_000) => notices(state, now).map((notice) => notice.kind);
  equal(kinds(seen(one("live"))), []);
  equal(kinds(seen(one("behind"))), ["behind"]);
  equal(kinds(seen(one("stopped"))), ["stopped"]);
  equal(kinds(seen(one("live")), 1_061_000), ["old"]);
  equal(kinds({ ...seen(one("live")), ahead: -61_000 }, 1_061_000), [], "by the server's clock it is not old");
  const lost = withPhase(seen(one("stopped")), { name: "waiting", cause: "network" }, 1);
  equal(kinds(lost, 1_061_000), ["lost", "stopped"]);
  equal(kinds(withPhase(seen(one("live")), { name: "token", refused: true }, 1)), ["token"]);
});
test("the pipeline's health is that of its worst part", () => {
  const text = (pipeline) => health(seen(pipeline)).text;
  equal([null, one("live"), one("behind"), one("stopped"), one("unknown")].map(text),
    ["Pipeline", "Pipeline live", "Pipeline behind", "1 stopped", "Pipeline unknown"]);
  equal(text({ ...one("live"), deadLetters: { open: 3, groups: [] } }), "Dead letters");
  equal(health(withPhase(seen(one("live")), { name: "waiting" }, 1)).text, "Pipeline unknown");
  equal(text({ ...one("live"), outbox: { failed: 1 } }), "Unpublishable events");
});

// MARK: series.js and format.js

test("buckets that are not there are zero", () => {
  const instants = series.axis("2026-01-01T00:00:00.000000Z", "2026-01-01T03:00:00.000000Z", "hour");
  equal(instants.map((at) => new Date(at).getUTCHours()), [0, 1, 2]);
  const buckets = [{ at: "2026-01-01T02:00:00.000000Z", ordersCreated: 4, revenue: "0.30" }];
  const lines = ["EUR", "USD"].map((currency) => ({ currency, buckets }));
  equal(series.counts(lines, null, ["ordersCreated"], instants), { ordersCreated: [0, 0, 8] });
  equal(series.counts(lines, "USD", ["ordersCreated"], instants), { ordersCreated: [0, 0, 4] });
  equal(series.amounts(lines, "EUR", ["revenue"], instants), { revenue: ["0", "0", "0.30"] });
  equal(series.axis("nonsense", "2026-01-01T03:00:00Z", "hour"), []);
});
test("labels stand at whole steps of the clock", () => {
  const day = series.axis("2026-01-01T00:30:00Z", "2026-01-02T00:30:00Z", "hour");
  const hours = series.ticks(day, "hour", 9, () => 0).map((place) => new Date(day[place]).getUTCHours());
  equal(hours, [0, 3, 6, 9, 12, 15, 18, 21, 0]);
  equal(series.ticks(day, "hour", 5, () => 330).every((place) => (day[place] / 60_000 + 330) % 360 === 0), true);
  const month = series.axis("2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z", "day");
  equal(series.ticks(month, "day", 6).length <= 6, true);
});
test("the funnel counts who came how far", () => {
  const statuses = [["created", 2], ["shipped", 3], ["cancelled", 5]].map(([status, orders]) => ({ status, orders }));
  const { steps, aside, total } = series.funnel(statuses);
  equal(steps.map((row) => [row.status, row.orders, row.reached]),
    [["created", 2, 5], ["confirmed", 0, 3], ["paid", 0, 3], ["shipped", 3, 3],
      ["partially_delivered", 0, 0], ["delivered", 0, 0]]);
  equal([aside.map((row) => row.status), total], [["cancelled"], 10]);
});
test("products compare by revenue in one currency, by units in all", () => {
  const products = [["a", "EUR", 1, "10.00"], ["b", "EUR", 9, "9.50"], ["a", "USD", 10, "900.00"]]
    .map(([productId, currency, units, revenue]) => ({ productId, currency, units, revenue, name: productId }));
  const inEuros = series.topProducts(products, "revenue", "EUR");
  equal(inEuros.map((row) => [row.productId, row.units, row.share]), [["a", 1, 1], ["b", 9, 0.95]]);
  const inAll = series.topProducts(products, "units", null);
  equal(inAll.map((row) => [row.productId, row.units, row.amounts.length]), [["a", 11, 2], ["b", 9, 1]]);
});
test("currencies are listed, those with most orders first", () => {
  const totals = [{ currency: "USD", ordersCreated: 1 }, { currency: "EUR", ordersCreated: 2 }];
  const data = { totals, series: [], topProducts: [{ currency: "GBP" }], latestOrders: [{ currency: null }] };
  equal(series.currencies(data), ["EUR", "USD", "GBP"]);
});
test("durations lie on one scale", () => {
  const [paid, delivered] = series.durationScale(
    [{ step: "paid", p50Ms: 1_000, p95Ms: 10_000 }, { step: "delivered", p50Ms: 10_000, p95Ms: 60_000 }]);
  equal([paid.from, delivered.to, paid.to === delivered.from], [0, 1, true]);
  equal(series.durationScale([{ step: "paid", p50Ms: 0, p95Ms: 0 }])[0].from, 0);
});
test("money keeps every digit, and takes what is no currency", () => {
  equal(money("123456789012345678.91", "EUR").replace(/[^0-9]/g, ""), "12345678901234567891");
  equal(money("1.50", "no currency").includes("no currency"), true);
});
test("durations have two units at most", () => {
  const words = (ms) => duration(ms).split(" ").length;
  equal([0, 850, 4_210, 59_990, 200_000, 7_500_000, 100_000_000, null].map(words), [1, 1, 1, 1, 2, 2, 2, 1]);
  equal(utc("2026-11-21T14:03:22.123456Z"), "2026-11-21 14:03:22.123 UTC");
});

// MARK: commands.js

/** A service that answers as the test says, one answer a request; an answer that is null is no answer. */
class Service {
  constructor(...answers) {
    this.answers = answers;
    this.requests = [];
    this.pauses = [];
    this.time = 0;
    this.world = {
      fetch: async (url, options) => {
        this.requests.push({ url: String(url), ...options });
        const { status, body, headers } = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
        if (status === null) throw new TypeError("no connection");
        return new Response(JSON.stringify(body), { status, headers });
      },
      sleep: async (ms) => {
        this.pauses.push(ms);
        this.time += ms;
      },
      now: () => this.time,
      timeout: () => null,
    };
  }
}
const NO_ANSWER = { status: null };
const CREATED = { status: 201, body: { orderId: "ord/1", version: 1 } };
const BEHIND = { status: 503, body: { title: "Read model behind" }, headers: { "Retry-After": "3" } };

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Refused) return [error.status, error.title, error.detail];
    return error.message;
  }
  throw new Error("it was not refused");
}

test("commands go where the page says, or nowhere", () => {
  equal(commandsURL("", "http://here/"), null);
  equal([commandsURL("./", "http://here/shop/?window=1h"), commandsURL("http://there:8090", "http://here/")].map(String),
    ["http://here/shop/", "http://there:8090/"]);
});
test("a command without an answer is sent again with the same key", async () => {
  const service = new Service(NO_ANSWER, BEHIND, CREATED);
  const options = { url: new URL("http://there/api/"), key: "k-1", token: "secret", world: service.world };
  equal(await createOrder({ customerId: "c" }, options), CREATED.body);
  equal(service.requests.map(({ url, method }) => [method, url]), Array(3).fill(["POST", "http://there/api/v1/orders"]));
  equal(service.requests.map(({ headers }) => [headers["Idempotency-Key"], headers.Authorization]),
    Array(3).fill(["k-1", "Bearer secret"]));
  equal(service.pauses, [500, 3_000]);
});
test("a command that a rule refuses is not sent again", async () => {
  const service = new Service({ status: 422, body: { title: "Unknown customer", detail: "no c" } });
  const options = { url: new URL("http://there/"), key: "k", token: null, world: service.world };
  equal(await refusal(createOrder({}, options)), [422, "Unknown customer", "no c"]);
  equal([service.requests.length, "Authorization" in service.requests[0].headers], [1, false]);
});
test("a command is given up after five attempts", async () => {
  for (const [answer, expected] of [[NO_ANSWER, "no connection"], [BEHIND, [503, "Read model behind", ""]]]) {
    const service = new Service(answer);
    const options = { url: new URL("http://there/"), key: "k", token: null, world: service.world };
    equal(await refusal(createOrder({}, options)), expected);
    equal(service.requests.length, 5);
  }
});
test("the page waits until the read model has the version", async () => {
  const service = new Service(BEHIND, NO_ANSWER, { status: 200, body: { version: 1 } });
  equal(await untilShown(CREATED.body, { base: "http://here/shop/", token: null, world: service.world }), { version: 1 });
  equal(service.requests[0].url, "http://here/shop/v1/orders/ord%2F1?min_version=1");
  equal(service.requests[0].headers.Prefer, "wait=10");
});
test("the wait for the read model ends", async () => {
  const service = new Service(BEHIND);
  equal(await refusal(untilShown(CREATED.body, { base: "http://here/", token: null, world: service.world })),
    [503, "Read model behind", ""]);
  equal(service.time, 120_000);
});

const results = [];
for (const { name, body } of tests) {
  try {
    await body();
    results.push({ name, error: null });
  } catch (error) {
    results.push({ name, error: String(error.message) });
  }
}
document.documentElement.dataset.results = JSON.stringify(results);
