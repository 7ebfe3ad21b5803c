// Two curves of one panel against t: the rank of the true next book and the distance to it, both by the prediction. The
// axes are fixed, the panel's own chain is solid, those of the other panels are dashed, and a cursor stands at t.

const HEIGHT = 104, LEFT = 36, RIGHT = 10, TOP = 20, BOTTOM = 20;
const RANKS = [1, 5, 25, 125, 625, 3125, 15625], DISTANCES = [0.01, 0.03, 0.1, 0.3, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32, 64];
const DASHES = ["6 3", "2 3", "8 2 2 2"];

// The line of a panel's own chain, i = 0, and of the other panels' chains.
function lineOf(i, colours) {
  if (i === 0) return { stroke: colours.prediction, "stroke-width": 2.4 };
  return { stroke: "#444", "stroke-width": 1.4, "stroke-dasharray": DASHES[(i - 1) % DASHES.length] };
}

class Curve {
  // `key` of a state is drawn on a logarithmic axis from `low` to `high`; `guide` is a value with a line of its own.
  constructor(parent, { key, title, low, high, ticks, guide }, colours) {
    Object.assign(this, { key, title, low, high, ticks, guide, colours });
    this.svg = shape("svg", parent, { class: "drl-chart drl-curve", "aria-hidden": "true" }); // the readout says it
  }

  x(t) {
    return LEFT + ((this.T - t) / this.T) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const share = Math.log(Math.max(value, this.low) / this.low) / Math.log(this.high / this.low);
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
  }

  still(T, own, others, width) {
    Object.assign(this, { T, width, own });
    const { svg, colours } = this, bottom = HEIGHT - BOTTOM;
    for (const [name, value] of Object.entries({ width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` })) svg.setAttribute(name, value);
    svg.replaceChildren();
    shape("text", svg, { x: 0, y: 12, class: "drl-curve-title" }, this.title);
    const line = (x1, y1, x2, y2, stroke, more = {}) => shape("line", svg, { x1, y1, x2, y2, stroke, ...more });
    let above = Infinity;
    for (const value of this.ticks.filter((v) => v >= this.low && v <= this.high)) {
      if (above - this.y(value) < 13) continue; // no room for its number
      above = this.y(value);
      line(LEFT, this.y(value), width - RIGHT, this.y(value), value === this.guide ? "#8a8a8a" : "#e6e6e6");
      shape("text", svg, { x: LEFT - 5, y: this.y(value) + 4, "text-anchor": "end" }, String(value));
    }
    line(LEFT, bottom, width - RIGHT, bottom, "#666");
    for (const t of new Set([T, ...(width < 150 ? [] : [Math.round(T / 2)]), Math.round(T / 4), 0]))
      shape("text", svg, { x: this.x(t), y: HEIGHT - 5, "text-anchor": t === T ? "start" : t ? "middle" : "end" }, t === T ? `t = ${T}` : t);
    // All of each chain, faint, and over it what the clock has reached.
    const trace = (states, attributes) => {
      shape("polyline", svg, { points: points(this.places(states)), ...attributes, opacity: 0.3 });
      return { states, past: shape("polyline", svg, attributes) };
    };
    this.traces = [own, ...others].map((states, i) => trace(states, { fill: "none", ...lineOf(i, colours) }));
    this.cursor = line(0, TOP - 2, 0, bottom, colours.ink);
    this.mark = shape("rect", svg, { width: 9, height: 9, fill: colours.prediction, stroke: "#fff" });
  }

  // A chain of one step has one prediction: a stroke shows it, since a line needs two ends.
  places(states) {
    const places = states.filter((s) => s.x0).map((s) => [this.x(s.t), this.y(s[this.key])]);
    return places.length === 1 ? [[places[0][0] - 6, places[0][1]], places[0]] : places;
  }

  show(place, t) {
    const now = this.own[place];
    for (const { states, past } of this.traces) past.setAttribute("points", points(this.places(states.filter((s) => s.t >= t))));
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(t));
    this.mark.style.display = now.x0 ? "" : "none";
    this.mark.setAttribute("x", this.x(now.t) - 4.5);
    this.mark.setAttribute("y", this.y(now[this.key]) - 4.5);
  }
}

// Both curves of a panel, and a line that says which dashes are whose.
class Curves {
  constructor(parent, items, [low, high], colours) {
    make("div", parent, "By the prediction, against t; low is good:", "drl-small");
    const row = make("div", parent, undefined, "drl-curves");
    this.curves = [
      new Curve(row, { key: "rank", title: "rank of ★", low: 1, high: items, ticks: RANKS, guide: 5 }, colours),
      new Curve(row, { key: "distance", title: "distance to ★", low: low / 1.1, high: high * 1.1, ticks: DISTANCES, guide: 1 }, colours),
    ];
    this.names = make("div", parent, undefined, "drl-names");
  }

  still(T, own, others, names, width) {
    const each = width >= 270 ? Math.floor((width - 12) / 2) : width;
    for (const curve of this.curves) curve.still(T, own, others, each);
    this.names.replaceChildren();
    names.forEach((name, i) => {
      const line = make("span", this.names, undefined, "drl-name");
      const sample = shape("svg", line, { width: 30, height: 8, "aria-hidden": "true" });
      shape("line", sample, { x1: 0, y1: 4, x2: 28, y2: 4, ...lineOf(i, this.curves[0].colours) });
      make("span", line, name);
    });
  }

  show(place, t) {
    for (const curve of this.curves) curve.show(place, t);
  }
}
