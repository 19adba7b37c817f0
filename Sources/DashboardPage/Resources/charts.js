// A panel with a chart over time. A button replaces the chart by a table of its numbers. Chart.js draws the chart. If
// it is not installed, the panel has only the table.
import { el, keyed, panelHead, setAttribute, setText } from "./dom.js";
import { bucketName, bucketTick } from "./format.js";
import { ticks } from "./series.js";

export const hasCharts = () => typeof globalThis.Chart === "function";

/** The colour of a custom property of the style sheet in the current theme. */
function colour(name) {
  const probe = el("i", { class: "unseen" });
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const faded = (rgb, share) => rgb.replace(/^rgba?\(([^,]+),([^,]+),([^,)]+).*$/, `rgba($1,$2,$3,${share})`);

/** One chart on a canvas. Series: `{key, label, colour, kind: "line" | "bar", dash?, area?}`. */
class Plot {
  constructor(series, text, tick) {
    this.series = series;
    /** The series, followed by the areas below some of them. */
    this.layers = [...series, ...series.filter((one) => one.area).map((one) => ({ ...one, isArea: true }))];
    this.text = text;
    this.tick = tick;
    this.canvas = el("canvas", { role: "img" });
    this.node = el("div", { class: "plot" }, this.canvas);
    this.model = null;
    this.chart = null;
    this.isSmall = false;
    this.isLast = true;
  }

  /**
   * @param {{instants, resolution, now, values, texts?, atLeast?}} model `values`: the numbers of each series;
   *   `texts`: their texts
   * @param {Set<string>} hidden the keys of series that are not drawn
   */
  show(model, hidden) {
    this.model = model;
    this.hidden = hidden;
    if (this.chart === null) this.#create();
    const { data } = this.chart;
    data.labels = model.instants;
    data.datasets.forEach((dataset, place) => {
      dataset.data = model.values[this.layers[place].key];
      dataset.hidden = hidden.has(this.layers[place].key);
    });
    const { x, y } = this.chart.options.scales;
    y.suggestedMax = model.atLeast ?? 5;
    // Below the zero line, the axis ends at the smallest value and not at a whole step. A small chart among several
    // shows its peak beside it. Only the last chart shows the times, which are the same for all.
    const shown = this.series.filter((one) => !hidden.has(one.key)).flatMap((one) => model.values[one.key]);
    y.min = Math.min(0, ...shown);
    y.max = this.isSmall ? Math.max(1, ...shown) : undefined;
    y.display = !this.isSmall;
    x.ticks.display = this.isLast;
    this.chart.update("none");
  }

  destroy() {
    this.chart?.destroy();
  }

  /** Reads the colours and sizes of the style sheet again after a change of the theme or of the window's size. */
  restyle() {
    if (this.chart === null) return;
    this.chart.data.datasets.forEach((dataset, place) => Object.assign(dataset, this.#look(this.layers[place])));
    Object.assign(this.chart.options, this.#options());
    this.show(this.model, this.hidden);
  }

  #create() {
    const datasets = this.layers.map((series) => ({ type: series.kind, data: [], ...this.#look(series) }));
    this.chart = new globalThis.Chart(this.canvas, {
      type: this.series[0].kind, data: { labels: [], datasets }, options: this.#options(),
    });
  }

  /** Whether the bucket has not ended yet. It is drawn faintly, because its lower value does not mean a decrease. */
  #isUnfinished(place) {
    const { instants, now } = this.model;
    return place === instants.length - 1 && place > 0 && instants[place] + (instants[1] - instants[0]) > now;
  }

  #look(series) {
    const line = colour(series.colour);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    if (series.kind === "bar") {
      return {
        backgroundColor: (context) => (this.#isUnfinished(context.dataIndex) ? faded(line, 0.45) : line),
        borderRadius: 2 * rem, borderSkipped: "start", categoryPercentage: 0.86, barPercentage: 1,
        maxBarThickness: 40 * rem, stack: "one",
      };
    }
    if (series.isArea) {
      const nothing = { borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, tension: 0 };
      return { backgroundColor: faded(line, 0.1), fill: "origin", ...nothing };
    }
    return {
      borderColor: line, fill: false, borderWidth: 2 * rem,
      borderDash: (series.dash ?? []).map((length) => length * rem), borderJoinStyle: "round",
      pointRadius: 0, pointHitRadius: 8 * rem, pointHoverRadius: 4 * rem, pointStyle: series.point ?? "circle",
      pointBackgroundColor: line, pointHoverBackgroundColor: line, tension: 0,
      segment: { borderColor: (context) => (this.#isUnfinished(context.p1DataIndex) ? faded(line, 0.45) : undefined) },
    };
  }

  #options() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = { family: getComputedStyle(document.body).fontFamily, size: 0.75 * rem };
    const [muted, grid, surface, ink, border] = ["--muted", "--grid", "--raised", "--ink", "--line"].map(colour);
    return {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      interaction: { mode: "index", intersect: false },
      layout: { padding: { top: this.isSmall ? 0 : 0.25 * rem } },
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: surface, borderColor: border, borderWidth: 1, titleColor: ink, bodyColor: ink,
          titleFont: { ...font, weight: "600" }, bodyFont: font, padding: 0.625 * rem, cornerRadius: 0.375 * rem,
          boxWidth: 0.5 * rem, boxHeight: 0.5 * rem, boxPadding: 0.375 * rem, usePointStyle: true,
          filter: (item) => item.datasetIndex < this.series.length,
          callbacks: {
            title: ([item]) => bucketName(this.model.instants[item.dataIndex], this.model.resolution)
              + (this.#isUnfinished(item.dataIndex) ? ", so far" : ""),
            label: (item) => {
              const series = this.series[item.datasetIndex];
              return `${series.label}: ${this.said(series.key, item.dataIndex)}`;
            },
            labelColor: (item) => {
              const line = colour(this.series[item.datasetIndex].colour);
              return { borderColor: line, backgroundColor: line };
            },
          },
        },
      },
      scales: {
        x: {
          type: "category", grid: { display: false, drawTicks: false, drawBorder: false },
          ticks: {
            autoSkip: false, maxRotation: 0, font, color: muted, padding: 0.375 * rem,
            display: this.isLast,
            callback: (_, place, shown) => bucketTick(this.model.instants[shown[place].value], this.model.resolution),
          },
          afterBuildTicks: (scale) => {
            const most = Math.max(2, Math.floor(scale.chart.width / (5 * rem)));
            const { instants = [], resolution = "hour" } = this.model ?? {};
            scale.ticks = ticks(instants, resolution, most).map((value) => ({ value }));
          },
        },
        y: {
          beginAtZero: true, display: !this.isSmall,
          grid: { color: (context) => (context.tick.value === 0 ? border : grid), drawBorder: false, drawTicks: false },
          ticks: {
            font, color: muted, maxTicksLimit: 5, precision: 0, padding: 0.5 * rem,
            callback: (value) => this.tick(value),
          },
          afterBuildTicks: (scale) => {
            scale.ticks = scale.ticks.filter((tick) => tick.value >= 0);
          },
        },
      },
    };
  }

  said(key, place) {
    return this.model.texts?.[key]?.[place] ?? this.text(this.model.values[key][place]);
  }
}

/** The symbol of a series beside its name: its colour, with its dashes or its bar. */
function swatch(series) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", series.kind === "bar" ? "rect" : "path");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 22 12");
  svg.setAttribute("aria-hidden", "true");
  svg.style.color = `var(${series.colour})`;
  const dashes = (series.dash ?? []).join(" ");
  const attributes = series.kind === "bar"
    ? { x: 5, y: series.below ? 6 : 0, width: 12, height: series.below ? 6 : 12, rx: 2, fill: "currentColor" }
    : { d: "M1 6h20", fill: "none", stroke: "currentColor", "stroke-width": 2.4, "stroke-dasharray": dashes };
  for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
  svg.append(shape);
  return svg;
}

/**
 * @param {Element} panel
 * @param {{title: string, series: object[], text: (number) => string, tick: (number) => string}} spec
 * @returns {{show: (view: View) => void, restyle: () => void}}
 * @typedef {{hint: string, empty: Element | null, plots: {name, peak?, isSmall?, isLast?, model}[],
 *   legend: Object<string, string>}} View `legend`: the texts beside the names of the series
 */
export function chartPanel(panel, { title, series, text, tick }) {
  const hidden = new Set();
  const tableButton = el("button", { class: "quiet-button", type: "button", "aria-pressed": "false", text: "Table" });
  const { head, hint } = panelHead(panel.id, title, tableButton);
  const legend = el("ul", { class: "legend" });
  const stage = el("div", { class: "stage" });
  const plots = el("div", { class: "plots" });
  const table = el("div", {
    class: "stage-table", tabindex: "0", role: "region", "aria-label": `${title}, as a table`, hidden: true,
  });
  const vacancy = el("div", { class: "vacancy", hidden: true });
  stage.append(plots, table, vacancy);
  panel.replaceChildren(head, legend, stage);
  let view = null;
  let showsTable = !hasCharts();
  tableButton.hidden = showsTable;
  tableButton.addEventListener("click", () => {
    showsTable = !showsTable;
    setAttribute(tableButton, "aria-pressed", String(showsTable));
    if (view) show(view);
  });

  const totals = new Map();
  legend.append(...series.map((one) => {
    const total = el("b");
    totals.set(one.key, total);
    const label = el("span", { text: one.label });
    const button = el("button", { type: "button", "aria-pressed": "true" }, swatch(one), label, total);
    button.addEventListener("click", () => {
      if (!hidden.delete(one.key)) hidden.add(one.key);
      setAttribute(button, "aria-pressed", String(!hidden.has(one.key)));
      if (view) show(view);
    });
    return el("li", {}, button);
  }));

  function createPlot() {
    const plot = new Plot(series, text, tick);
    const name = el("b");
    const peak = el("span", { class: "muted" });
    const caption = el("figcaption", {}, name, peak);
    const node = el("figure", { class: "plot-figure" }, caption, plot.node);
    return {
      node, plot,
      update: (one) => {
        plot.tick = (value) => tick(value, one.name);
        plot.isSmall = one.isSmall ?? false;
        plot.isLast = one.isLast ?? true;
        node.classList.toggle("with-times", plot.isLast);
        setText(name, one.name ?? "");
        setText(peak, one.peak ?? "");
        caption.hidden = !plot.isSmall;
        setAttribute(plot.canvas, "aria-label", `${title}${one.name ? `, ${one.name}` : ""}: `
          + series.map((s) => `${s.label} ${view.legend[s.key]}`).join(", ") + ". The button Table shows the numbers.");
        // A canvas must be in the document before it can be measured.
        queueMicrotask(() => plot.show(one.model, hidden));
      },
    };
  }

  const shown = new Map();
  function show(next) {
    view = next;
    setText(hint, view.hint);
    for (const [key, node] of totals) setText(node, view.legend[key] ?? "");
    const isEmpty = view.empty !== null;
    vacancy.hidden = !isEmpty;
    if (isEmpty) vacancy.replaceChildren(view.empty);
    plots.hidden = isEmpty || showsTable;
    table.hidden = isEmpty || !showsTable;
    if (!plots.hidden) {
      keyed(plots, view.plots, (one) => one.name ?? "", (one) => {
        const row = createPlot();
        shown.set(one.name ?? "", row.plot);
        return row;
      });
      for (const [name, plot] of shown) {
        if (!view.plots.some((one) => (one.name ?? "") === name)) {
          plot.destroy();
          shown.delete(name);
        }
      }
    }
    if (!table.hidden) fillTable(table, series, view, text);
  }

  return { show, restyle: () => shown.forEach((plot) => plot.restyle()) };
}

/** Fills the table with the newest bucket first, because readers want to see the current numbers. */
function fillTable(box, series, view, text) {
  const isOne = view.plots.length === 1;
  const heads = view.plots.flatMap((one) => series.map((s) => (isOne ? s.label : `${s.label}, ${one.name}`)));
  const body = el("tbody");
  const { instants, resolution } = view.plots[0].model;
  for (let place = instants.length - 1; place >= 0; place -= 1) {
    body.append(el("tr", {}, el("th", { scope: "row", text: bucketName(instants[place], resolution) }),
      ...view.plots.flatMap(({ model }) => series.map((s) =>
        el("td", { class: "number", text: model.texts?.[s.key]?.[place] ?? text(model.values[s.key][place]) })))));
  }
  const top = box.scrollTop;
  box.replaceChildren(el("table", { class: "rows" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col", text: "From" }),
      ...heads.map((head) => el("th", { scope: "col", class: "number", text: head })))), body));
  box.scrollTop = top;
}
