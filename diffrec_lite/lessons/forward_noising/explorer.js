// The dissolving cloud: every book's vector, projected once; a slider adds the noise.
const SVG = "http://www.w3.org/2000/svg";
const SIZE = 400;

function element(tag, text, style = {}, parent = null) {
  const e = document.createElement(tag);
  if (text !== null) e.textContent = text;
  Object.assign(e.style, style);
  if (parent) parent.appendChild(e);
  return e;
}

function shape(tag, attributes, parent) {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  parent.appendChild(e);
  return e;
}

function choice(bar, name, labels, change) {
  const label = element("label", name, {}, bar);
  label.className = "drl-control";
  const select = element("select", null, {}, label);
  select.setAttribute("aria-label", name);
  select.style.maxWidth = "15em";
  labels.forEach((text, i) => { element("option", text, {}, select).value = i; });
  select.addEventListener("change", () => change(Number(select.value)));
  return select;
}

function render({ model, el }) {
  const data = model.get("data");
  const colours = model.get("colours");
  const root = element("div", null, {}, el);
  root.className = "drl-explorer diffrec-cloud";
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab must not take the arrow keys
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "The dissolving cloud");
  element("div", "The dissolving cloud", {}, root).className = "drl-title";
  const bar = element("div", null, {}, root);
  bar.className = "drl-bar";
  const save = (name, value) => { model.set(name, value); model.save_changes(); draw(); };
  const books = choice(bar, "Book", data.items.map((i) => data.titles[i]), (v) => save("book", v));
  const schedules = choice(bar, "Schedule", data.schedules.map((s) => s.name), (v) => save("schedule", v));
  const row = element("label", "Step t", {}, bar);
  row.className = "drl-control";
  const slider = element("input", null, {}, row);
  Object.assign(slider, { type: "range", min: 0, max: data.schedules[0].abar.length - 1, step: 1 });
  slider.setAttribute("aria-label", "Step t");
  const play = element("button", "▶ Play", {}, bar);
  play.addEventListener("click", () => (timer ? stop() : start()));
  const shown = element("span", "", {}, row);
  shown.className = "drl-value";
  slider.addEventListener("input", () => { stop(); save("t", Number(slider.value)); });
  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  }
  function start() {
    const last = Number(slider.max);
    if (model.get("t") === last) save("t", 0);
    play.textContent = "❚❚ Pause";
    timer = setInterval(() => (model.get("t") < last ? save("t", model.get("t") + 1) : stop()), 350);
  }

  const split = element("div", null, { display: "flex", gap: "18px", flexWrap: "wrap" }, root);
  const svg = shape("svg", { width: SIZE, style: "max-width: 100%; height: auto", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img" }, split);
  const caption = shape("title", {}, svg);
  shape("rect", { x: 0.5, y: 0.5, width: SIZE - 1, height: SIZE - 1, fill: "white", stroke: "#bbbbbb" }, svg);
  // One window for all steps and schedules: it holds the clean cloud and nearly all the noise.
  const reach = 1.05 * Math.max(3, ...data.clean.flat().map(Math.abs));
  const x = (p) => SIZE / 2 + (p[0] / reach) * (SIZE / 2);
  const y = (p) => SIZE / 2 - (p[1] / reach) * (SIZE / 2);
  const real = data.clean.map((_, i) => i).slice(1);
  const marks = new Map();
  real.forEach((i) => shape("circle", { cx: x(data.clean[i]), cy: y(data.clean[i]), r: 1.6, fill: colours.neutral }, svg));
  real.forEach((i) => marks.set(i, shape("circle", { r: 3, fill: colours.noise, "fill-opacity": 0.6 }, svg)));
  const line = shape("line", { stroke: colours.prediction, "stroke-width": 2, "stroke-dasharray": "5 3" }, svg);
  const found = shape("rect", { width: 12, height: 12, fill: colours.prediction }, svg);
  const home = shape("circle", { r: 7, fill: "none", stroke: colours.target, "stroke-width": 2 }, svg);
  const dot = shape("circle", { r: 6, fill: colours.target, stroke: "white" }, svg);
  const side = element("div", null, { flex: "1 1 260px" }, split);
  element("p", "● the noised book, ○ where it came from, ■ the book it rounds to. Small dots: all other "
    + "books, noised, blue for those of its genre; pale: where they came from. The five nearest books:", { margin: "0 0 8px", opacity: "0.8" }, side);
  const list = element("ol", null, { paddingLeft: "20px", margin: "0" }, side);
  list.className = "diffrec-nearest";
  const status = element("p", "", {}, side);
  status.setAttribute("aria-live", "polite");
  status.className = "drl-readout";

  function draw() {
    const t = model.get("t"), b = model.get("book"), s = data.schedules[model.get("schedule")];
    const item = data.items[b], abar = s.abar[t];
    const keep = Math.sqrt(abar), add = Math.sqrt(1 - abar);
    const at = (i) => [0, 1].map((axis) => keep * data.clean[i][axis] + add * data.noise[i][axis]);
    for (const [i, mark] of marks) {
      const p = at(i);
      mark.setAttribute("cx", x(p));
      mark.setAttribute("cy", y(p));
    }
    for (const [i, mark] of marks) mark.setAttribute("fill", data.genres[i] === data.genres[item] ? colours.genre : colours.noise);
    const p = at(item), near = s.nearest[t][b], q = data.clean[near[0]];
    for (const [name, value] of Object.entries({ x1: x(p), y1: y(p), x2: x(q), y2: y(q) })) line.setAttribute(name, value);
    dot.setAttribute("cx", x(p)); dot.setAttribute("cy", y(p));
    home.setAttribute("cx", x(data.clean[item])); home.setAttribute("cy", y(data.clean[item]));
    found.setAttribute("x", x(q) - 6); found.setAttribute("y", y(q) - 6);
    slider.value = t; books.value = b; schedules.value = model.get("schedule");
    const snr = t === 0 ? "∞" : (abar / (1 - abar)).toPrecision(2);
    shown.textContent = `t = ${t}   abar = ${abar.toFixed(3)}   SNR = ${snr}`;
    slider.setAttribute("aria-valuetext", shown.textContent);
    list.replaceChildren();
    near.forEach((i) => {
      const own = i === item;
      const text = `${own ? "✓ " : ""}${data.titles[i]} (${data.genres[i]})`;
      element("li", text, { color: own ? colours.target : "inherit", fontWeight: own ? "700" : "400" }, list);
    });
    const says = `${data.titles[item]} rounds to ${data.titles[near[0]]}. Its own rank is ${s.rank[t][b]}.`;
    status.textContent = says;
    caption.textContent = `Step ${t} of schedule ${s.name}. ${says}`;
  }

  for (const name of ["t", "book", "schedule"]) model.on(`change:${name}`, draw);
  draw();
  return stop;
}

export default { render };
