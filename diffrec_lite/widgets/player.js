// The trajectory player. All states are in `sources`; this file only moves marks and writes text.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360, HEIGHT = 270, MARGIN = 12;

function node(tag, attributes, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

function html(tag, className, parent, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

// One scale for all that a source can ever show: the picture never jumps when a control moves. What lies outside its
// frame, as a loudly noised vector does, waits at the edge.
function scaleOf([left, right, low, high]) {
  const unit = Math.min((WIDTH - 2 * MARGIN) / (right - left || 1), (HEIGHT - 2 * MARGIN) / (high - low || 1));
  const x0 = WIDTH / 2 - (unit * (left + right)) / 2, y0 = HEIGHT / 2 + (unit * (low + high)) / 2;
  const clamp = (v, end) => Math.min(Math.max(v, MARGIN), end - MARGIN);
  return ([x, y]) => [clamp(x0 + unit * x, WIDTH), clamp(y0 - unit * y, HEIGHT)];
}

const outside = ([x, y], [left, right, low, high]) => x < left || x > right || y < low || y > high;
const points = (places) => places.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ");
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

class Panel {
  constructor(parent, sources, frames, colours, scales, onchange) {
    Object.assign(this, { sources, frames, colours, scales, drawn: null });
    this.root = html("section", "drl-panel", parent);
    const bar = html("div", "drl-bar", this.root);
    this.source = this.select(bar, "Chain", sources.map((s) => s.name), onchange);
    if (sources.length === 1) this.source.parentNode.hidden = true;
    this.steps = this.select(bar, "Steps", [], onchange);
    this.svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "drl-plane" }, this.root);
    this.text = html("div", "drl-readout", this.root);
    this.heading = html("div", "drl-label", this.root);
    this.list = html("ol", "drl-nearest", this.root);
    this.rows = Array.from({ length: 5 }, () => html("li", "", this.list));
  }

  select(bar, name, options, onchange) {
    const label = html("label", "drl-control", bar);
    html("span", "drl-label", label, name);
    const input = html("select", "drl-input", label);
    options.forEach((text, i) => input.append(new Option(text, i)));
    input.addEventListener("change", onchange);
    return input;
  }

  // The part that changes only with the source or the reader: all books, the shelf, the true next book.
  still(sourceIndex, readerIndex, panelNumber) {
    const key = `${sourceIndex}/${readerIndex}`;
    if (this.drawn === key) return;
    if (!this.drawn || this.drawn.split("/")[0] !== String(sourceIndex)) {
      const steps = this.sources[sourceIndex].steps;
      this.steps.replaceChildren(...steps.map((n, i) => new Option(n === this.sources[sourceIndex].T ? `${n} (all)` : n, i)));
    }
    this.drawn = key;
    const { items, genres, readers } = this.sources[sourceIndex];
    const reader = readers[readerIndex], scale = this.scales[sourceIndex];
    const place = (item) => scale([items.x[item], items.y[item]]);
    this.source.setAttribute("aria-label", `Chain of panel ${panelNumber}`);
    this.steps.setAttribute("aria-label", `Steps of panel ${panelNumber}`);
    this.svg.replaceChildren();
    const dot = (item, radius, fill, opacity, note) => {
      const [cx, cy] = place(item);
      const circle = node("circle", { cx, cy, r: radius, fill, "fill-opacity": opacity }, this.svg);
      node("title", {}, circle).textContent = [items.title[item], genres[items.genre[item]], note].filter(Boolean).join(" · ");
    };
    for (let item = 1; item < items.x.length; item++)
      dot(item, 2.6, this.colours.genres[items.genre[item]] ?? "#999", 0.3);
    for (const item of reader.history) dot(item, 4, this.colours.history, 0.9, "read");
    this.near = Array.from({ length: 5 }, () =>
      node("circle", { r: 6, fill: "none", stroke: "#222", "stroke-width": 1.2, class: "drl-near" }, this.svg));
    this.trailT = node("polyline", { fill: "none", stroke: this.colours.noise, "stroke-width": 1.5 }, this.svg);
    this.trail0 = node("polyline", { fill: "none", stroke: this.colours.prediction, "stroke-width": 2 }, this.svg);
    const [x, y] = place(reader.target);
    const star = Array.from({ length: 10 }, (_, i) => {
      const angle = (Math.PI * i) / 5 - Math.PI / 2, r = i % 2 ? 4 : 9;
      return [x + r * Math.cos(angle), y + r * Math.sin(angle)];
    });
    const mark = node("polygon", { points: points(star), fill: this.colours.target, stroke: "#fff", class: "drl-target" }, this.svg);
    node("title", {}, mark).textContent = `${items.title[reader.target]} · the true next book`;
    this.markT = node("rect", { x: -5, y: -5, width: 10, height: 10, fill: this.colours.noise, stroke: "#fff", class: "drl-mark drl-xt" }, this.svg);
    this.mark0 = node("rect", { x: -5, y: -5, width: 10, height: 10, fill: this.colours.prediction, stroke: "#fff", class: "drl-mark drl-x0" }, this.svg);
  }

  // The part that changes with the clock.
  show(sourceIndex, states, place, target) {
    const { items, num_items, T } = this.sources[sourceIndex], scale = this.scales[sourceIndex];
    const past = states.slice(0, place + 1), now = states[place];
    const predictions = past.filter((state) => state.x0).map((state) => scale(state.x0));
    const entered = past.findLastIndex((state) => outside(state.xt, this.frames[sourceIndex])) + 1; // no trail outside
    this.trailT.setAttribute("points", points(past.slice(entered).map((state) => scale(state.xt))));
    this.trail0.setAttribute("points", points(predictions));
    this.markT.style.transform = `translate(${scale(now.xt).map((v) => v.toFixed(1) + "px").join(",")}) rotate(45deg)`;
    this.mark0.style.display = now.x0 ? "" : "none";
    if (now.x0) this.mark0.style.transform = `translate(${scale(now.x0).map((v) => v.toFixed(1) + "px").join(",")})`;
    now.nearest.forEach((item, i) => {
      const [cx, cy] = scale([items.x[item], items.y[item]]);
      this.near[i].setAttribute("cx", cx);
      this.near[i].setAttribute("cy", cy);
      this.rows[i].textContent = items.title[item] + (item === target ? " ★" : "");
      this.rows[i].classList.toggle("drl-hit", item === target);
    });
    this.heading.textContent = now.x0 ? "Five best by the prediction:" : "Five best by the noise:";
    const prediction = now.x0
      ? `prediction: rank ${now.rank} of ${num_items}, distance ${now.distance.toFixed(2)}`
      : "prediction: none yet; x_t is pure noise";
    const noised = `noised vector: rank ${now.noisy_rank} of ${num_items}, distance ${now.noisy_distance.toFixed(2)}` +
      (outside(now.xt, this.frames[sourceIndex]) ? " (outside the picture, at its edge)" : "");
    this.text.textContent = `t = ${now.t}, move ${place} of ${states.length - 1}\n${prediction}\n${noised}`;
    this.svg.setAttribute("aria-label", `Books in a plane, at t = ${now.t} of ${T}. True next book: ${prediction}; ${noised}.`);
    return `${plural(states.length - 1, "step")}: ${now.x0 ? "rank " + now.rank : "pure noise, no prediction yet"}`;
  }
}

function render({ model, el }) {
  const sources = model.get("sources"), frames = model.get("frames"), colours = model.get("colours");
  const scales = frames.map(scaleOf);
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const root = html("div", "drl-explorer drl-player", el);
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Trajectory player");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab must not take the arrow keys

  const bar = html("div", "drl-bar", root);
  const choose = (name, texts, key) => {
    const label = html("label", "drl-control", bar);
    html("span", "drl-label", label, name);
    const input = html("select", "drl-input", label);
    input.setAttribute("aria-label", name);
    texts.forEach((text, i) => input.append(new Option(text, i)));
    input.addEventListener("change", () => change({ [key]: Number(input.value) }));
    return input;
  };
  const { readers, seeds, items } = sources[0];
  const reader = choose("Reader", readers.map((r) => `${r.user}, next: ${items.title[r.target]}`), "reader");
  const seed = choose("Noise seed", seeds, "seed");

  const bar2 = html("div", "drl-bar", root);
  const button = (text, name, action) => {
    const made = html("button", "drl-button", bar2, text);
    made.type = "button";
    made.setAttribute("aria-label", name);
    made.addEventListener("click", action);
    return made;
  };
  button("|◀", "Back to the start", () => go(0));
  button("◀", "Step back", () => go(tick - 1));
  const play = button("Play", "Play", () => toggle());
  button("▶", "Step forward", () => go(tick + 1));
  button("▶|", "To the end", () => go(ticks.length - 1));
  const scrub = html("input", "drl-scrub", bar2);
  Object.assign(scrub, { type: "range", min: 0, step: 1 });
  scrub.setAttribute("aria-label", "Step t");
  scrub.addEventListener("input", () => go(Number(scrub.value)));
  const clock = html("output", "drl-value", bar2);
  const live = html("div", "drl-live", root);
  live.setAttribute("aria-live", "polite");

  const row = html("div", "drl-panels", root);
  const panels = model.get("state").panels.map(() =>
    new Panel(row, sources, frames, colours, scales, () => change({ panels: panels.map((p, i) => chosen(p, i)) })));
  const legend = html("div", "drl-legend", root);
  for (const [sign, colour, text] of [
    ["●", colours.history, "books read"], ["★", colours.target, "true next book"], ["◆", colours.noise, "x_t, the noised vector"],
    ["■", colours.prediction, "x0_hat, the prediction"], ["○", "#222", "five best"], ["●", "#bbb", "all books, tinted by genre"],
  ]) {
    const entry = html("span", "", legend);
    html("span", "", entry, sign + " ").style.color = colour;
    entry.append(text);
  }
  html("div", "drl-hint", root, "Keys: ← → one step, Home and End to the ends, space plays and pauses.");

  // Another source may not have the same numbers of steps: keep the place where it has one.
  function chosen(panel, i) {
    const source = Number(panel.source.value);
    const before = state.panels[i];
    const wanted = source === before.source ? Number(panel.steps.value) : before.steps;
    return { source, steps: Math.min(wanted, sources[source].steps.length - 1) };
  }

  let ticks = [], tick = 0, timer = null;

  // The page has its own copy of the state: it must go on when the kernel, and with it the model's comm, is gone.
  let state = model.get("state");

  function change(part) {
    state = { ...state, ...part };
    update();
    try {
      model.set("state", state);
      model.save_changes();
    } catch {
      // no kernel to tell
    }
  }

  function follow() {
    state = model.get("state");
    update();
  }

  function go(wanted) {
    tick = Math.max(0, Math.min(ticks.length - 1, wanted));
    change({ t: ticks[tick] });
  }

  function toggle(on = timer === null) {
    clearInterval(timer);
    timer = null;
    if (on) {
      if (tick === ticks.length - 1) go(0);
      timer = setInterval(() => (tick < ticks.length - 1 ? go(tick + 1) : toggle(false)), calm.matches ? 1200 : 350);
    }
    root.classList.toggle("drl-playing", on && !calm.matches);
    live.setAttribute("aria-live", on ? "off" : "polite"); // a reader aloud cannot follow a film
    play.textContent = on ? "Pause" : "Play";
    play.setAttribute("aria-label", play.textContent);
  }

  function update() {
    reader.value = state.reader;
    seed.value = state.seed;
    const chains = state.panels.map((p) => sources[p.source].runs[state.reader][p.steps][state.seed]);
    ticks = [...new Set(chains.flat().map((s) => s.t))].sort((a, b) => b - a);
    tick = Math.max(0, ticks.findLastIndex((t) => t >= state.t));
    const t = ticks[tick];
    scrub.max = ticks.length - 1;
    scrub.value = tick;
    scrub.setAttribute("aria-valuetext", `t = ${t}`);
    clock.textContent = `t = ${t}`;
    const target = readers[state.reader].target;
    const said = panels.map((panel, i) => {
      const { source, steps } = state.panels[i];
      panel.still(source, state.reader, i + 1);
      panel.source.value = source;
      panel.steps.value = steps;
      const place = chains[i].findLastIndex((s) => s.t >= t);
      const name = sources.length > 1 ? sources[source].name + ", " : "";
      return name + panel.show(source, chains[i], place, target);
    });
    live.textContent = `t = ${t}. True next book: ${items.title[target]}. ${said.join("; ")}.`;
  }

  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    const tag = event.target.tagName;
    if (tag === "SELECT" || event.altKey || event.ctrlKey || event.metaKey) return;
    if (tag === "BUTTON" && (event.key === " " || event.key === "Enter")) return;
    const keys = {
      ArrowRight: () => go(tick + 1), ArrowUp: () => go(tick + 1), ArrowLeft: () => go(tick - 1), ArrowDown: () => go(tick - 1),
      Home: () => go(0), End: () => go(ticks.length - 1), " ": () => toggle(),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  model.on("change:state", follow);
  update();
  return () => {
    clearInterval(timer);
    model.off("change:state", follow);
  };
}

export default { render };
