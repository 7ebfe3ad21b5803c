// The dissolving cloud: every book's vector, projected once; a slider adds the noise and fills in the equation.
const SIZE = 340;

function render({ model, el }) {
  const data = model.get("data");
  const colours = model.get("colours");
  const last = data.schedules[0].abar.length - 1;
  const root = makeRoot(el, "The dissolving cloud", "diffrec-cloud");
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const books = makeSelect(bar, "Book", data.items.map((i) => data.titles[i]), (book) => put(model, { book }));
  const schedules = makeSelect(bar, "Schedule", data.schedules.map((s) => s.name), (schedule) => put(model, { schedule }));
  const play = make("button", bar, "▶ Play");
  play.type = "button";
  play.style.minWidth = "6.5em";
  play.addEventListener("click", () => (timer ? stop() : start()));
  const slider = makeSlider(bar, "Step t", 0, last, (t) => { stop(); put(model, { t }); });
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null, ticking = false;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
    status.setAttribute("aria-live", "polite");
  }
  function start() {
    if (model.get("t") === last) put(model, { t: 0 });
    play.textContent = "❚❚ Pause";
    status.setAttribute("aria-live", "off"); // a reader aloud cannot follow a film
    timer = setInterval(() => {
      ticking = true;
      if (model.get("t") < last) put(model, { t: model.get("t") + 1 });
      else stop();
      ticking = false;
    }, calm.matches ? 1200 : 350);
  }

  const split = make("div", root);
  split.style.cssText = "display: flex; gap: 8px 18px; flex-wrap: wrap";
  const view = make("div", split);
  view.style.cssText = "flex: 1 1 300px; min-width: 0; max-width: 430px";
  const svg = shape("svg", view, { class: "drl-chart", width: "100%", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img" });
  const described = shape("title", svg);
  shape("rect", svg, { x: 0.5, y: 0.5, width: SIZE - 1, height: SIZE - 1, fill: "white", stroke: "#bbbbbb" });
  // One window for all steps and schedules: it holds the clean cloud and nearly all the noise.
  const reach = 1.05 * Math.max(3, ...data.clean.flat().map(Math.abs));
  const x = (p) => SIZE / 2 + (p[0] / reach) * (SIZE / 2);
  const y = (p) => SIZE / 2 - (p[1] / reach) * (SIZE / 2);
  const genres = Object.keys(data.centres);
  const tint = (i) => colours.genres[genres.indexOf(data.genres[i]) % colours.genres.length];
  const marks = data.clean.map((_, i) => (i === 0 ? null : shape("circle", svg, { fill: tint(i) })));
  const line = shape("line", svg, { stroke: colours.prediction, "stroke-width": 2, "stroke-dasharray": "5 3" });
  const found = shape("rect", svg, { width: 11, height: 11, fill: colours.prediction, stroke: "white" });
  const home = shape("circle", svg, { r: 7, fill: "none", stroke: colours.target, "stroke-width": 2 });
  const dot = shape("circle", svg, { r: 5.5, fill: colours.target, stroke: "white" });
  genres.forEach((genre, g) => {
    const centre = data.centres[genre];
    const further = 1 + 1.4 / Math.max(Math.hypot(...centre), 1e-9); // the name stands outside of its dots
    const place = centre.map((v) => v * further);
    shape("text", svg, {
      x: Math.min(Math.max(x(place), 30), SIZE - 30), y: y(place) + 4, "text-anchor": "middle", "font-size": 13, fill: colours.ink,
      stroke: colours.genres[g % colours.genres.length], "stroke-width": 5, "stroke-linejoin": "round", "paint-order": "stroke",
    }, genre);
  });
  const key = make("p", view, "● the noised book, ○ where it came from, ■ the book it rounds to. Small dots: all other "
    + "books, noised and tinted by genre; with a dark rim: its own genre. Names stay where their genre began. "
    + `The plane shows ${Math.round(100 * data.share)} % of the variance.`);
  key.style.cssText = "margin: 4px 0; font-size: 13px";

  const side = make("div", split);
  side.style.cssText = "flex: 1 1 260px; min-width: 0";
  const forms = makeEquation(side, 5);
  const parts = make("div", side);
  parts.setAttribute("aria-hidden", "true");
  parts.style.cssText = `display: flex; height: 14px; margin-top: 4px; background: ${colours.noise}`;
  const signal = make("div", parts);
  signal.style.background = colours.target;
  const shares = make("div", side);
  shares.style.cssText = "margin-bottom: 8px; font-variant-numeric: tabular-nums";
  make("div", side, "The five nearest books:");
  const list = make("ol", side, undefined, "diffrec-nearest");
  list.style.cssText = "padding-left: 20px; margin: 2px 0";
  const longest = data.titles.reduce((a, b) => (b.length > a.length ? b : a), "");
  const says = (title, other, rank) => `${title} rounds to ${other}. Its own rank is ${rank}.`;
  const status = makePlace(side, data.items.map((i) => says(data.titles[i], longest, 100)), "drl-readout");

  function write(t, abar, b) {
    const keep = Math.sqrt(abar), add = Math.sqrt(1 - abar), x0 = data.first.x0[b], eps = data.first.noise[b];
    const xt = `<var>x</var><sub>${t}</sub>`, n = (v) => v.toFixed(3);
    forms[0].innerHTML = "<var>x</var><sub>t</sub> = √<var>ᾱ</var><sub>t</sub> · <var>x</var><sub>0</sub> + √(1 − <var>ᾱ</var><sub>t</sub>) · <var>ε</var>";
    forms[1].innerHTML = `${xt} = √${n(abar)} · <var>x</var><sub>0</sub> + √${n(1 - abar)} · <var>ε</var>`;
    forms[2].innerHTML = `${xt} = ${n(keep)} · <var>x</var><sub>0</sub> + ${n(add)} · <var>ε</var>`;
    forms[3].textContent = "and the first number of its vector";
    forms[4].textContent = `${n(keep)} · (${signed(x0)}) + ${n(add)} · (${signed(eps)}) = ${signed(keep * x0 + add * eps)}`;
    signal.style.width = `${100 * abar}%`;
    const book = Math.round(100 * abar), snr = abar / (1 - abar);
    const ratio = t === 0 ? "∞" : snr < 99 ? snr.toPrecision(2) : Math.round(snr);
    shares.textContent = `variance: ${book} % book, ${100 - book} % noise`;
    return `t = ${t}   abar = ${n(abar)}   SNR = ${ratio}`;
  }

  function draw() {
    const t = model.get("t"), b = model.get("book"), s = data.schedules[model.get("schedule")];
    const item = data.items[b], abar = s.abar[t];
    const at = (i) => [0, 1].map((axis) => Math.sqrt(abar) * data.clean[i][axis] + Math.sqrt(1 - abar) * data.noise[i][axis]);
    const set = (node, attributes) => Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    marks.forEach((mark, i) => {
      if (!mark) return;
      const own = data.genres[i] === data.genres[item], p = at(i);
      set(mark, { cx: x(p), cy: y(p), r: own ? 4.2 : 3, stroke: own ? colours.ink : "#777", "stroke-width": own ? 1.1 : 0.4 });
    });
    const p = at(item), near = s.nearest[t][b], q = data.clean[near[0]], from = data.clean[item];
    set(line, { x1: x(p), y1: y(p), x2: x(q), y2: y(q) });
    set(dot, { cx: x(p), cy: y(p) });
    set(home, { cx: x(from), cy: y(from) });
    set(found, { x: x(q) - 5.5, y: y(q) - 5.5 });
    books.value = b;
    schedules.value = model.get("schedule");
    slider.write(t, write(t, abar, b));
    list.replaceChildren();
    near.forEach((i) => {
      const [title, series] = data.titles[i].replace(/\)$/, "").split(" (");
      const row = make("li", list, undefined, i === item ? "own" : "");
      make("span", row, (i === item ? "✓ " : "") + title).style.fontWeight = i === item ? "700" : "400";
      const note = make("div", row, series ? `${data.genres[i]}, ${series}` : data.genres[i]);
      note.style.cssText = `font-size: 12px; line-height: 1.2; padding-left: 6px; border-left: 10px solid ${tint(i)}`;
    });
    status.textContent = says(data.titles[item], data.titles[near[0]], s.rank[t][b]);
    described.textContent = `${model.get("alt")} Step ${t} of schedule ${s.name}. ${status.textContent}`;
  }

  const heard = ["t", "book", "schedule"].map((name) => `change:${name}`);
  heard.forEach((name) => model.on(name, draw));
  const moved = () => { if (timer && !ticking) stop(); }; // by the kernel, or by another view
  model.on("change:t", moved);
  draw();
  return () => { stop(); forget(); model.off("change:t", moved); heard.forEach((name) => model.off(name, draw)); };
}

export default { render };
