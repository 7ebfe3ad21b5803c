// Accuracy against cost. Every run is recorded and already here; this file picks, draws and lists.

const COLOURS = { counting: "#6b6b6b", network: "#0072b2", diffusion: "#00795a" };
const PRINTED = "#b34700";
const H = 360, LEFT = 56, RIGHT = 18, TOP = 16, BOTTOM = 52, R = 9; // in pixels; the chart is as wide as the page lets it
const LABELS = ["data set", "protocol", "metric", "cost"];

function mark(parent, kind, x, y, number) {
  const fill = COLOURS[kind];
  if (kind === "counting") shape("circle", parent, { cx: x, cy: y, r: R, fill });
  else if (kind === "network") shape("rect", parent, { x: x - R, y: y - R, width: 2 * R, height: 2 * R, fill });
  else shape("path", parent, { d: `M${x},${y - R - 4}l${R + 4},${2 * R + 4}h${-2 * (R + 4)}z`, fill });
  const text = { x, y: y + 4, "text-anchor": "middle", fill: "#fff", "font-weight": 700, "font-size": 12 };
  if (number) shape("text", parent, text, number);
}

// The nearest of 1, 2 and 5 times a power of ten that is at least `value`.
function roundStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((n) => n * power >= value);
}

function amount(value) {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value >= 1 ? value.toFixed(0) : value.toFixed(2);
}

// What one state shows: the runs of a data set, the best first, and the sentences below the chart.
function view({ choices, points, untimed }, state) {
  const [dataset, protocol, metric] = choices.map((texts, k) => texts[state[k]]);
  const here = points.filter((p) => p.dataset === dataset);
  const shown = here.filter((p) => p.costs[state[3]] !== null)
    .map((p) => ({ ...p, cost: p.costs[state[3]], score: p.scores[protocol][metric] }))
    .sort((a, b) => b.score[0] - a.score[0]);
  const best = shown[0], counted = shown.find((p) => p.kind === "counting");
  const told = `${dataset}, ${protocol}. Best recorded ${metric}: ${best.score[0].toFixed(4)}, ${best.label}.` +
    (counted && counted !== best
      ? ` Of the rules that count, ${counted.label} comes highest: ${Math.round((100 * counted.score[0]) / best.score[0])} % of it.`
      : "") +
    (shown.length < here.length ? ` ${untimed[dataset]}` : "");
  return { shown, told };
}

function render({ model, el }) {
  const data = model.get("data");
  const root = makeRoot(el, data.title, "diffrec-cost");
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const selects = data.choices.map((texts, k) => makeSelect(bar, LABELS[k], texts, (chosen) =>
    put(model, { state: model.get("state").with(k, chosen) })));
  const svg = shape("svg", root, { class: "drl-chart", height: H, role: "img" });
  const legend = make("div", root, undefined, "cx-legend");
  for (const [kind, text] of Object.entries(data.kinds)) {
    const entry = make("span", legend);
    mark(shape("svg", entry, { viewBox: "-15 -15 30 30", width: 18, height: 18, "aria-hidden": true }), kind, 0, 0);
    entry.append(` ${text}`);
  }
  const [datasets, protocols, metrics] = data.choices.map((texts) => texts.map((_, i) => i));
  const costs = data.choices[3].map((_, i) => i);
  const states = datasets.flatMap((d) => protocols.flatMap((p) => metrics.flatMap((m) => costs.map((c) => [d, p, m, c]))));
  const readout = makePlace(root, states.map((state) => view(data, state).told), "drl-readout");
  const scroll = make("div", root, undefined, "cx-scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "the models of the chart");
  const list = make("table", scroll);

  function drawChart(shown, dataset, metric, cost, place) {
    const width = legend.clientWidth || 640; // a usual one while the page is not laid out yet
    const [low, high] = data.ranges[dataset][place].map(Math.log10), top = data.tops[`${dataset}/${metric}`];
    const x = (value) => LEFT + ((Math.log10(value) - low) / (high - low)) * (width - LEFT - RIGHT);
    const y = (value) => H - BOTTOM - (value / top) * (H - TOP - BOTTOM);
    svg.setAttribute("width", width);
    svg.setAttribute("viewBox", `0 0 ${width} ${H}`);
    svg.replaceChildren();
    for (let value = 0, step = roundStep(top / 4); value <= top; value += step) {
      shape("line", svg, { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), stroke: "#e6e6e6" });
      shape("text", svg, { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(3));
    }
    const every = Math.ceil(56 / (x(10) - x(1))); // so many powers of ten need the room of one number
    for (let n = Math.ceil(low); n <= high; n++) {
      shape("line", svg, { x1: x(10 ** n), x2: x(10 ** n), y1: TOP, y2: H - BOTTOM, stroke: "#f0f0f0" });
      const text = n > 5 ? `10^${n}` : n < 0 ? (10 ** n).toFixed(-n) : (10 ** n).toLocaleString("en");
      if (n % every === 0) shape("text", svg, { x: x(10 ** n), y: H - BOTTOM + 18, "text-anchor": "middle" }, text);
    }
    shape("text", svg, { x: (LEFT + width) / 2, y: H - 6, "text-anchor": "middle" }, `${cost}, log scale`);
    Object.entries(data.printed[dataset][metric]).forEach(([system, value]) => {
      shape("line", svg, { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), stroke: PRINTED, "stroke-dasharray": "5 4" });
      const above = value === Math.max(...Object.values(data.printed[dataset][metric]));
      shape("text", svg, { x: LEFT + 6, y: y(value) + (above ? -5 : 15), fill: PRINTED }, `${system}, printed`);
    });
    shown.forEach((p) => {
      const [, from, to] = p.score;
      shape("line", svg, { x1: x(p.cost), x2: x(p.cost), y1: y(from), y2: y(to), stroke: COLOURS[p.kind], "stroke-width": 2 });
    });
    shown.forEach((p, i) => mark(svg, p.kind, x(p.cost), y(p.score[0]), i + 1));
  }

  function drawList(shown, metric, cost, place) {
    list.replaceChildren();
    const head = make("tr", make("thead", list));
    for (const text of ["", "model (preset)", metric, "95 % interval", cost, "runs", "device"]) make("th", head, text).scope = "col";
    const body = make("tbody", list);
    shown.forEach((p, i) => {
      const row = make("tr", body);
      const [value, from, to] = p.score.map((number) => number.toFixed(4));
      const spent = place === 2 && p.kind === "counting" ? "none" : amount(p.cost);
      for (const text of [i + 1, p.label, value, `${from} to ${to}`, spent, p.runs, p.devices.join("; ")]) make("td", row, text);
    });
  }

  function draw() {
    const state = model.get("state"), { shown, told } = view(data, state);
    const [dataset, , metric, cost] = data.choices.map((texts, k) => texts[state[k]]);
    selects.forEach((select, k) => { select.value = state[k]; });
    drawChart(shown, dataset, metric, cost, state[3]);
    drawList(shown, metric, cost, state[3]);
    readout.textContent = told;
    svg.setAttribute("aria-label", `${model.get("alt")} ${told}`);
  }

  const resized = new ResizeObserver(draw);
  resized.observe(legend);
  model.on("change:state", draw);
  draw();
  return () => { forget(); resized.disconnect(); model.off("change:state", draw); };
}

export default { render };
