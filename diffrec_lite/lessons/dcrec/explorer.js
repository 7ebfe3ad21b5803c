// Weigh three losses: who pulls on the book vectors, how far apart they stay, and how many readers are served.
// Every run is recorded and already here; this file picks one and draws it.

const LOSSES = ["L_T", "L_t", "L_z"];
const COLOURS = ["#cc79a7", "#56b4e9", "#e69f00"]; // the three losses
const LINE = "#0072b2", GREY = "#6b6b6b";
const W = 360, H = 210, LEFT = 44, RIGHT = 12, TOP = 26, BOTTOM = 40; // of a chart, in its own units

// A chart over the batches. `values` are [mean, least seed, greatest seed] for each look; the axes never move.
function chart(parent, title, top, ticks) {
  const svg = shape("svg", parent, { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title });
  svg.style.font = "13.5px system-ui, 'DejaVu Sans', sans-serif";
  return (batches, values, printed, at, guide) => {
    svg.replaceChildren();
    const last = batches[batches.length - 1];
    const x = (batch) => LEFT + (batch / last) * (W - LEFT - RIGHT);
    const y = (value) => H - BOTTOM - (value / top) * (H - TOP - BOTTOM);
    const path = (column, of) => of.map((row, i) => `${i ? "L" : "M"}${x(batches[i])},${y(row[column])}`).join("");
    shape("text", svg, { x: 0, y: 14, "font-weight": 600 }, title);
    for (const tick of ticks) {
      shape("line", svg, { x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick), stroke: "#e6e6e6" });
      shape("text", svg, { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick === 0 ? "0" : tick.toFixed(1));
    }
    for (const tick of [0, 40, 80, 120, 160]) {
      shape("text", svg, { x: x(tick), y: H - BOTTOM + 16, "text-anchor": "middle" }, tick);
    }
    shape("text", svg, { x: (LEFT + W) / 2, y: H - 4, "text-anchor": "middle" }, "training batches");
    if (guide) {
      shape("line", svg, { x1: LEFT, x2: W - RIGHT, y1: y(guide), y2: y(guide), stroke: GREY, "stroke-dasharray": "2 3" });
    }
    shape("line", svg, { x1: x(batches[at]), x2: x(batches[at]), y1: TOP, y2: H - BOTTOM, stroke: "#222", "stroke-width": 1 });
    const band = path(1, values) + [...values].reverse()
      .map((row, i) => `L${x(batches[values.length - 1 - i])},${y(row[2])}`).join("") + "Z";
    shape("path", svg, { d: band, fill: LINE, "fill-opacity": 0.18 });
    shape("path", svg, { d: path(0, printed), fill: "none", stroke: GREY, "stroke-width": 2, "stroke-dasharray": "6 4" });
    shape("path", svg, { d: path(0, values), fill: "none", stroke: LINE, "stroke-width": 2.5 });
    if (guide) { // last, with a white edge, so that it can be read on a line
      const edge = { fill: GREY, stroke: "#fff", "stroke-width": 4, "paint-order": "stroke" };
      shape("text", svg, { x: W - RIGHT - 4, y: y(guide) - 6, "text-anchor": "end", ...edge }, "popularity");
    }
    values.forEach((row, i) => {
      shape("circle", svg, { cx: x(batches[i]), cy: y(row[0]), r: i === at ? 6 : 3, fill: LINE });
    });
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const root = makeRoot(el, data.title, "diffrec-balance");
  const forget = askFirst(root, model);
  const choose = (k) => (value) => put(model, { state: model.get("state").with(k, value) });
  const look = data.controls.length; // the last number of the state

  const guided = make("div", root, undefined, "drl-bar");
  const buttons = data.guided.map(({ text, state }) => {
    const button = make("button", guided, text);
    button.type = "button";
    button.addEventListener("click", () => put(model, { state: [...state, model.get("state")[look]] }));
    return { button, key: state.join("/") };
  });
  const bar = make("div", root, undefined, "drl-bar");
  const selects = data.controls.map(({ label, texts }, k) => makeSelect(bar, label, texts, choose(k)));
  const slider = makeSlider(bar, "batch", 0, data.batches.length - 1, choose(look));

  const bars = make("div", root, undefined, "lb-bars");
  const pulled = ["items", "network"].map((on, k) => {
    make("span", bars, k === 0 ? "pull on the book vectors" : "pull on the network");
    const track = make("div", bars, undefined, "lb-bar");
    track.setAttribute("role", "img");
    return { on, track, parts: COLOURS.map((colour) => {
      const part = make("span", track);
      part.style.background = colour;
      return part;
    }) };
  });
  const charts = make("div", root, undefined, "lb-charts");
  const apart = chart(charts, "share of squared length that tells books apart", 1, [0, 0.5, 1]);
  const hits = chart(charts, "HR@5, validation readers", data.top, [0, 0.1, 0.2]);
  make("div", root, `Blue: this balance, ${data.seeds}. Grey dashes: as printed.`);
  const readout = make("div", root, "", "drl-readout");
  readout.setAttribute("aria-live", "polite");

  function draw() {
    const state = model.get("state"), key = state.slice(0, look).join("/"), at = state[look];
    const shown = data.states[key], printed = data.states[data.reference];
    selects.forEach((select, k) => { select.value = state[k]; });
    buttons.forEach((one) => one.button.setAttribute("aria-pressed", one.key === key));
    slider.write(at, `${data.batches[at]}`);
    pulled.forEach(({ on, track, parts }) => {
      const shares = shown[on][at];
      parts.forEach((part, i) => {
        part.style.flex = `0 0 ${100 * shares[i]}%`;
        part.textContent = shares[i] < 0.12 ? "" : `${LOSSES[i]} ${Math.round(100 * shares[i])} %`;
      });
      track.setAttribute("aria-label", LOSSES.map((name, i) => `${name} ${Math.round(100 * shares[i])} %`).join(", "));
    });
    apart(data.batches, shown.apart, printed.apart, at);
    hits(data.batches, shown.hr, printed.hr, at, data.popularity);
    readout.textContent = shown.said[at];
  }

  model.on("change:state", draw);
  draw();
  return () => { forget(); model.off("change:state", draw); };
}

export default { render };
