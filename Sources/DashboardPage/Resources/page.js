// The page. The stream changes the state, and `render` shows the state. No other function shows data.
import { bannerView } from "./banner.js";
import { commandsURL } from "./commands.js";
import { currencyControl, themeControl, token, windowControl } from "./controls.js";
import { icon, keyed, setIcon, setText, setTime } from "./dom.js";
import { Feed } from "./feed.js";
import { moment, utc } from "./format.js";
import { connection, health, notices } from "./judgement.js";
import { lookupViews } from "./lookup.js";
import { newOrderView } from "./neworder.js";
import { durationsView, funnelView, latestView, productsView } from "./orders.js";
import { deadLettersView, flowView, projectionsView } from "./pipeline.js";
import { chartsView, tilesView } from "./sales.js";
import { currencies } from "./series.js";
import { initialState, withEvent, withPhase, withWindow } from "./state.js";

const $ = (id) => document.getElementById(id);

let state = initialState(windowControl($("windows"), chooseWindow));
let feed = null;
/** The sections that are not shown yet. While the page is hidden, no section is shown. */
const due = new Set();
let frame = null;
let restyling = null;

const chosenCurrency = currencyControl($("currency"), () => renderAll());
const charts = chartsView();
const views = {
  tiles: tilesView($("tiles")), funnel: funnelView($("funnel")), durations: durationsView($("durations")),
  products: productsView($("products")), latest: latestView($("latest")), flow: flowView($("flow")),
  projections: projectionsView($("projections")), deadLetters: deadLettersView($("dead-letters")),
};
const showBanners = bannerView($("alerts"), $("notices"), { useToken, hurry: () => feed.hurry() });
themeControl($("theme"), () => charts.restyle());

const commands = commandsURL(document.querySelector("meta[name='millrace-commands']").content, document.baseURI);
if (commands !== null) {
  $("new-order").addEventListener("click", newOrderView($("order-form"), { url: commands, token: token.read }));
  $("new-order").hidden = false;
}

function chip(parent) {
  const sign = icon("i-wait");
  const text = document.createElement("span");
  parent.append(sign, text);
  return (said) => {
    parent.dataset.tone = said.tone;
    setIcon(sign, said.icon);
    setText(text, said.text);
  };
}
const showConnection = chip($("connection"));
const showHealth = chip($("health"));

function connect() {
  feed?.stop();
  feed = new Feed(`v1/dashboard/stream?window=${encodeURIComponent(state.window)}`, {
    onEvent: (event) => {
      const next = withEvent(state, event, Date.now());
      if (next === null) return false;
      change(next);
      return true;
    },
    onPhase: (phase) => {
      if (phase.name === "token" && phase.refused) token.forget();
      change(withPhase(state, phase, Date.now()));
    },
  });
  feed.start(token.read());
}

function chooseWindow(window) {
  state = withWindow(state, window);
  $("main").setAttribute("aria-busy", "true");
  connect();
}

function useToken(value) {
  token.keep(value);
  feed.start(value);
}

function change(next) {
  state = next;
  for (const section of state.changed) due.add(section);
  frame ??= requestAnimationFrame(render);
}

function renderAll() {
  if (state.data !== null) change({ ...state, changed: new Set(Object.keys(state.data)) });
}

/** Shows the changed sections. It runs with the frames of the screen, so it does not run while the page is hidden. */
function render() {
  frame = null;
  const now = Date.now();
  const { data } = state;
  showConnection(connection(state));
  showHealth(health(state));
  const said = notices(state, now);
  showBanners(said, now);
  document.documentElement.dataset.connection = state.phase.name;
  document.documentElement.dataset.event = state.eventId;
  const trouble = state.phase.name === "live" ? health(state) : connection(state);
  document.title = said.length > 0 ? `${trouble.text} · Millrace` : "Millrace";
  if (data === null) return;
  setTime($("as-of"), data.asOf, moment(data.asOf, now), utc(data.asOf));
  const isFresh = state.eventId !== "";
  $("main").setAttribute("aria-busy", String(!isFresh));
  const found = currencies(data);
  const view = {
    currencies: found, currency: chosenCurrency(found), newOrders: state.newOrders, now, serverNow: now + state.ahead,
  };
  const has = (...sections) => sections.some((section) => due.has(section));
  if (has("totals", "durations")) views.tiles(data, view);
  if (has("series", "totals", "statuses")) charts.show(data, view);
  if (has("statuses")) views.funnel(data);
  if (has("durations")) views.durations(data);
  if (has("topProducts", "totals")) views.products(data, view);
  if (has("latestOrders")) views.latest(data, view);
  if (has("pipeline") && data.pipeline !== null) {
    views.flow(data.pipeline, state.rates);
    views.projections(data.pipeline, now);
    views.deadLetters(data.pipeline, now);
  }
  due.clear();
}

/** Updates countdowns, the age of numbers, and the marks of new orders, even if no event comes. */
function everySecond() {
  if (state.newOrders.size > 0) due.add("latestOrders");
  frame ??= requestAnimationFrame(render);
}

addEventListener("online", () => feed.hurry());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && feed.hurry());
addEventListener("resize", () => {
  restyling ??= requestAnimationFrame(() => {
    restyling = null;
    charts.restyle();
  });
});
setInterval(everySecond, 1_000);
render();
connect();
lookupViews({ section: $("lookups"), products: $("find-products"), history: $("customer-orders") }, token.read);
