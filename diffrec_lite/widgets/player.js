// The trajectory player. All states are in `sources`; this file only moves marks and writes text. Its parts stand
// before it: player_books.js, player_plane.js, player_curves.js, and marks.js.

const said = (rank, of, distance) => `rank ${rank} of ${of}, distance ${distance.toFixed(2)}`;
const say = (t, title, results) => `t = ${t}. True next book, ${title}: ${results.join("; ")}.`;
const readout = (t, move, moves, prediction, noised) => `t = ${t}, move ${move} of ${moves}\nprediction: ${prediction}\nx_t: ${noised}`;
const OUTSIDE = " (outside)"; // of what the plane shows

// One chain: its plane, what can be said in numbers, its curves, and the five books that it recommends.
class Panel {
  constructor(parent, number, model, change) {
    this.sources = model.get("sources");
    this.frames = model.get("frames");
    const colours = model.get("colours");
    this.root = make("section", parent, undefined, "drl-panel");
    const bar = make("div", this.root, undefined, "drl-bar");
    this.source = makeSelect(bar, "Chain", this.sources.map((s) => s.name), change);
    this.source.setAttribute("aria-label", `Chain of panel ${number}`);
    this.source.parentNode.hidden = this.sources.length === 1;
    this.steps = makeSelect(bar, "Steps", [], change);
    this.steps.setAttribute("aria-label", `Steps of panel ${number}`);
    this.plane = new Plane(this.root, colours);
    this.share = make("div", this.root, "", "drl-small");
    make("div", this.root, "Prediction to ★ (1: two books, on average):", "drl-small");
    this.bars = ["in the plane", "in truth"].map((name) => this.bar(name));
    this.curves = new Curves(this.root, Math.max(...this.sources.map((s) => s.num_items)), model.get("span"), colours);
    const most = Math.max(...this.sources.map((s) => s.num_items)), T = this.sources[0].T, farthest = said(most, most, 99.99) + OUTSIDE;
    this.text = makePlace(this.root, [readout(T, T, T, farthest, farthest)], "drl-readout");
    this.text.removeAttribute("aria-live"); // the line above the panels is read aloud
    this.heading = make("div", this.root, undefined, "drl-label");
    const list = make("ol", this.root, undefined, "drl-nearest");
    this.rows = Array.from({ length: 5 }, () => makeEntry(make("li", list)));
    this.drawn = "";
  }

  // The distance from the prediction to the true next book, as a bar with a tick where two books lie on average.
  bar(name) {
    const row = make("div", this.root, undefined, "drl-far");
    make("span", row, name);
    const track = make("span", row, undefined, "drl-track");
    const fill = make("span", track, undefined, "drl-fill");
    const tick = make("span", track, undefined, "drl-tick");
    return { fill, tick, number: make("span", row, "", "drl-number") };
  }

  // What stays while the clock runs: drawn again when the chains, the reader, the seed or the width change.
  still(state, index, chains, names, width) {
    const { source, steps } = state.panels[index], shown = this.sources[source];
    const key = JSON.stringify([state.reader, state.seed, state.panels, width]);
    if (this.drawn === key) return;
    this.drawn = key;
    this.steps.replaceChildren(...shown.steps.map((n, i) => new Option(n === shown.T ? `${n} (all)` : n, i)));
    this.source.value = source;
    this.steps.value = steps;
    this.plane.still(shown, state.reader, this.frames[source], width);
    const others = (of) => [of[index], ...of.filter((_, i) => i !== index)];
    const [own, ...rest] = others(chains);
    this.curves.still(shown.T, own, rest, others(names), width);
    this.share.textContent = `The plane holds ${Math.round(100 * shown.share)} % of the books' variance.`;
    this.longest = Math.max(...shown.runs.flat(3).filter((s) => s.x0).map((s) => s.distance));
    for (const { tick } of this.bars) tick.style.left = `${100 / this.longest}%`;
  }

  // What moves with the clock. Returns it in a few words.
  show(state, index, chain, t) {
    const source = this.sources[state.panels[index].source], { items, num_items, T } = source;
    const target = source.readers[state.reader].target;
    const place = chain.findLastIndex((s) => s.t >= t), now = chain[place];
    this.plane.show(chain, place);
    this.curves.show(place, t);
    const flat = now.x0 && Math.hypot(now.x0[0] - items.x[target], now.x0[1] - items.y[target]) / source.apart;
    [flat, now.x0 && now.distance].forEach((far, i) => {
      this.bars[i].fill.style.width = now.x0 ? `${(100 * far) / this.longest}%` : 0;
      this.bars[i].number.textContent = now.x0 ? far.toFixed(2) : "–";
    });
    now.nearest.forEach((item, i) => {
      writeEntry(this.rows[i], item, source);
      if (item === target) this.rows[i].querySelector(".drl-book-title").append(" ★");
      this.rows[i].classList.toggle("drl-hit", item === target);
    });
    this.heading.textContent = now.x0 ? "Five best by the prediction:" : "Five best by the noise:";
    const prediction = now.x0 ? said(now.rank, num_items, now.distance) : "none yet; x_t is pure noise";
    const noised = said(now.noisy_rank, num_items, now.noisy_distance);
    const [away, gone] = [now.xt, now.x0].map((at) => at && outside(at, this.frames[state.panels[index].source]) ? OUTSIDE : "");
    this.text.textContent = readout(now.t, place, chain.length - 1, prediction + gone, noised + away);
    this.plane.svg.setAttribute("aria-label", `Books in a plane, at t = ${now.t} of ${T}. True next book by the prediction: ${prediction}; by x_t: ${noised}.`);
    return now.x0 ? "rank " + now.rank : "pure noise";
  }

  // Of what is inside; a usual one while the page is not laid out yet.
  width() {
    const { paddingLeft, paddingRight } = getComputedStyle(this.root);
    return this.root.clientWidth ? Math.floor(this.root.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight)) : 340;
  }
}

function render({ model, el }) {
  const sources = model.get("sources"), colours = model.get("colours"), guides = model.get("guides");
  const { readers, seeds, items } = sources[0];
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const root = makeRoot(el, "Trajectory player", "drl-player");
  root.tabIndex = 0;

  const bar = make("div", root, undefined, "drl-bar");
  const reader = makeSelect(bar, "Reader", readers.map((r) => r.user), (i) => change({ reader: i }));
  const seed = makeSelect(bar, "Noise seed", seeds, (i) => change({ seed: i }));
  const shelf = new Shelf(root);

  const views = make("div", root, undefined, "drl-bar drl-views");
  make("span", views, "Show");
  const viewButtons = guides.map(({ text, part }) => {
    const made = make("button", views, text);
    made.type = "button";
    made.addEventListener("click", () => change(part));
    return made;
  });

  const bar2 = make("div", root, undefined, "drl-bar");
  const button = (text, name, action) => {
    const made = make("button", bar2, text);
    made.type = "button";
    made.setAttribute("aria-label", name);
    made.addEventListener("click", action);
    return made;
  };
  button("|◀", "Back to the start", () => go(0));
  button("◀", "Step back", () => go(tick - 1));
  const play = button("Play", "Play", () => toggle());
  play.className = "drl-play";
  button("▶", "Step forward", () => go(tick + 1));
  button("▶|", "To the end", () => go(ticks.length - 1));
  const scrub = make("input", bar2, undefined, "drl-scrub");
  Object.assign(scrub, { type: "range", min: 0, step: 1 });
  scrub.setAttribute("aria-label", "Step t");
  scrub.addEventListener("input", () => go(Number(scrub.value)));
  const clock = make("output", bar2, "", "drl-value");
  const longest = (texts) => texts.reduce((a, b) => (b.length > a.length ? b : a));
  const titles = readers.map((r) => items.title[r.target]);
  const result = `${longest(sources.map((s) => s.name))}, ${plural(sources[0].T, "step")}: pure noise`;
  const live = makePlace(root, [say(sources[0].T, longest(titles), model.get("state").panels.map(() => result))], "drl-live");

  const row = make("div", root, undefined, "drl-panels");
  const panels = model.get("state").panels.map((_, i) =>
    new Panel(row, i + 1, model, () => change({ panels: panels.map((p, k) => chosen(p, k)) })));
  const legend = make("div", root, undefined, "drl-legend");
  for (const [sign, colour, text] of [
    ["●", colours.history, "books read"], ["◉", colours.history, "the last one"], ["★", colours.target, "true next book"],
    ["◆", colours.noise, "x_t, the noised vector (dashed)"], ["■", colours.prediction, "x0_hat, the prediction (solid)"],
    ["○", colours.ink, "five best"], ["●", "#bbb", "all books"],
  ]) {
    const entry = make("span", legend);
    make("span", entry, sign + " ").style.color = colour;
    entry.append(text);
  }
  make("div", root, "Keys: ← → one step, Home and End to the ends, space plays and pauses. Point at a book, or tap it, and it lights up in the planes, the lists and the shelf.", "drl-hint");

  // Another source may not have the same numbers of steps: keep the place where it has one.
  function chosen(panel, i) {
    const source = Number(panel.source.value), before = state.panels[i];
    const wanted = source === before.source ? Number(panel.steps.value) : before.steps;
    return { source, steps: Math.min(wanted, sources[source].steps.length - 1) };
  }

  let ticks = [], tick = 0, timer = null, lit = 0;

  let state = model.get("state");

  function change(part) {
    state = { ...state, ...part };
    update();
    put(model, { state });
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

  function light(item) {
    if (item === lit) return;
    lit = item;
    for (const panel of panels) panel.plane.light(item);
    lightEntries();
  }

  function lightEntries() {
    for (const entry of root.querySelectorAll(".drl-entry"))
      entry.classList.toggle("drl-lit", lit > 0 && Number(entry.dataset.item) === lit);
  }

  function update() {
    reader.value = state.reader;
    seed.value = state.seed;
    shelf.show(sources[0], state.reader);
    const chains = state.panels.map((p) => sources[p.source].runs[state.reader][p.steps][state.seed]);
    const names = state.panels.map((p) => `${sources.length > 1 ? sources[p.source].name + ", " : ""}${plural(sources[p.source].steps[p.steps], "step")}`);
    ticks = [...new Set(chains.flat().map((s) => s.t))].sort((a, b) => b - a);
    tick = Math.max(0, ticks.findLastIndex((t) => t >= state.t));
    const t = ticks[tick];
    scrub.max = ticks.length - 1;
    scrub.value = tick;
    scrub.setAttribute("aria-valuetext", `t = ${t}`);
    clock.textContent = `t = ${t}`;
    viewButtons.forEach((made, i) => {
      const part = guides[i].part;
      made.setAttribute("aria-pressed", part.t === state.t && JSON.stringify(part.panels) === JSON.stringify(state.panels));
    });
    const results = panels.map((panel, i) => {
      panel.still(state, i, chains, names, panel.width());
      return `${names[i]}: ${panel.show(state, i, chains[i], t)}`;
    });
    live.textContent = say(t, titles[state.reader], results);
    lightEntries();
  }

  lightBooks(root, light);
  root.addEventListener("keydown", (event) => {
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

  const resized = new ResizeObserver(update);
  resized.observe(row);
  onceLaidOut(root, () => shelf.scrollToLast());
  model.on("change:state", follow);
  update();
  return () => {
    clearInterval(timer);
    resized.disconnect();
    model.off("change:state", follow);
  };
}

export default { render };
