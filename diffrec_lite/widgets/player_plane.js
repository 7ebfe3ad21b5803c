// The plane of books of one panel: all books, the genres' names, the way of x_t and of x0_hat, the true next book.

const MARGIN = 14;

const outside = ([x, y], [left, right, low, high]) => x < left || x > right || y < low || y > high;
const points = (places) => places.map((place) => place.map((v) => v.toFixed(1)).join(",")).join(" ");

function starPoints([x, y], radius) {
  return points(Array.from({ length: 10 }, (_, i) => {
    const angle = (Math.PI * i) / 5 - Math.PI / 2, r = i % 2 ? 0.44 * radius : radius;
    return [x + r * Math.cos(angle), y + r * Math.sin(angle)];
  }));
}

class Plane {
  constructor(parent, colours) {
    this.colours = colours;
    this.svg = shape("svg", parent, { role: "img", class: "drl-plane" });
    this.item = 0;
  }

  // One scale for all that a source can ever show: the picture never jumps when a control moves. What lies outside its
  // frame, as a loudly noised vector does, waits at the edge.
  fit([left, right, low, high], width, height) {
    const unit = Math.min((width - 2 * MARGIN) / (right - left || 1), (height - 2 * MARGIN) / (high - low || 1));
    const x0 = width / 2 - (unit * (left + right)) / 2, y0 = height / 2 + (unit * (low + high)) / 2;
    const clamp = (v, end) => Math.min(Math.max(v, MARGIN), end - MARGIN);
    this.scale = ([x, y]) => [clamp(x0 + unit * x, width), clamp(y0 - unit * y, height)];
  }

  // What stays while the clock runs.
  still(source, readerIndex, frame, width) {
    const { items, genres, centres, readers } = source, { svg, colours } = this;
    const reader = readers[readerIndex], height = Math.round(Math.max(220, Math.min(300, 0.78 * width)));
    Object.assign(this, { source, frame, width, height });
    this.fit(frame, width, height);
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) svg.setAttribute(name, value);
    svg.replaceChildren();
    this.place = (item) => this.scale([items.x[item], items.y[item]]);
    const dot = (item, r, fill, note) => {
      const [cx, cy] = this.place(item);
      const circle = shape("circle", svg, { cx, cy, r, fill, class: "drl-book", "data-item": item, "data-genre": items.genre[item] });
      shape("title", circle, {}, [items.title[item], genres[items.genre[item]], note].filter(Boolean).join(" · "));
    };
    for (let item = 1; item < items.x.length; item++) dot(item, 2.8, "#c4c4c4");
    this.names = this.nameGenres(genres, centres.map(this.scale));
    reader.history.forEach((item) => dot(item, 4.5, colours.history, "read"));
    const [lastX, lastY] = this.place(reader.history.at(-1));
    shape("circle", svg, { cx: lastX, cy: lastY, r: 8, fill: "none", stroke: colours.history, "stroke-width": 2, class: "drl-still" });
    this.near = Array.from({ length: 5 }, () => shape("circle", svg, { r: 6, fill: "none", stroke: colours.ink, "stroke-width": 1.2, class: "drl-still" }));
    this.trailT = shape("polyline", svg, { fill: "none", stroke: colours.noise, "stroke-width": 1.6, "stroke-dasharray": "5 4", class: "drl-still" });
    this.trail0 = shape("polyline", svg, { fill: "none", stroke: colours.prediction, "stroke-width": 2, class: "drl-still" });
    const star = shape("polygon", svg, { points: starPoints(this.place(reader.target), 10), fill: colours.target, stroke: "#fff", class: "drl-target", "data-item": reader.target });
    shape("title", star, {}, `${items.title[reader.target]} · the true next book`);
    const mark = (fill, name) => shape("rect", svg, { x: -5, y: -5, width: 10, height: 10, fill, stroke: "#fff", class: `drl-mark drl-still ${name}` });
    this.markT = mark(colours.noise, "drl-xt");
    this.mark0 = mark(colours.prediction, "drl-x0");
    this.noise = shape("g", svg, { class: "drl-pure drl-still" });
    shape("rect", this.noise, { x: width / 2 - 92, y: 6, width: 184, height: 24, rx: 4, fill: "#fff", stroke: colours.noise });
    shape("text", this.noise, { x: width / 2, y: 22.5, "text-anchor": "middle" }, "This is pure noise.");
    this.ring = shape("circle", svg, { r: 9, fill: "none", stroke: colours.ink, "stroke-width": 2.5, class: "drl-still" });
    this.label = this.write("", 0, 0, "drl-lit-title");
    this.light(this.item);
  }

  // Each genre's name at its middle; one that would cover another moves down.
  nameGenres(genres, places) {
    const names = [], taken = [];
    for (const g of genres.map((_, i) => i).sort((a, b) => places[a][1] - places[b][1])) {
      let [x, y] = places[g];
      const covers = (other) => Math.abs(other.y - y) < 13 && Math.abs(other.x - x) < 3.5 * (genres[g].length + other.length);
      while (taken.some(covers)) y += 2;
      taken.push({ x, y, length: genres[g].length });
      names[g] = this.write(genres[g], x, y + 4, "drl-genre");
    }
    return names;
  }

  // A text with a white edge, kept inside the picture.
  write(text, x, y, className) {
    const made = shape("text", this.svg, { class: `${className} drl-still`, "text-anchor": "middle" });
    this.put(made, text, x, y);
    return made;
  }

  put(made, text, x, y) {
    const half = 3.4 * text.length + 4;
    made.textContent = text;
    made.setAttribute("x", Math.min(Math.max(x, half), Math.max(half, this.width - half)));
    made.setAttribute("y", Math.min(y, this.height - 4));
  }

  // What moves with the clock.
  show(states, place) {
    const { frame, scale } = this, past = states.slice(0, place + 1), now = states[place];
    const entered = past.findLastIndex((state) => outside(state.xt, frame)) + 1; // no trail outside
    const move = (mark, to, turn = "") => {
      mark.style.transform = `translate(${scale(to).map((v) => v.toFixed(1) + "px").join(",")})${turn}`;
    };
    this.trailT.setAttribute("points", points(past.slice(entered).map((state) => scale(state.xt))));
    this.trail0.setAttribute("points", points(past.filter((state) => state.x0).map((state) => scale(state.x0))));
    move(this.markT, now.xt, " rotate(45deg)");
    this.mark0.style.display = now.x0 ? "" : "none";
    this.noise.style.display = now.x0 ? "none" : "";
    if (now.x0) move(this.mark0, now.x0);
    now.nearest.forEach((item, i) => {
      const [cx, cy] = this.place(item);
      this.near[i].setAttribute("cx", cx);
      this.near[i].setAttribute("cy", cy);
    });
  }

  // A ring and the title of the book that is pointed at, and its genre darker than the others; 0 for none.
  light(item) {
    this.item = item;
    this.ring.style.display = item ? "" : "none";
    const genre = item ? String(this.source.items.genre[item]) : null;
    for (const dot of this.svg.querySelectorAll(".drl-book")) dot.classList.toggle("drl-kin", dot.dataset.genre === genre);
    this.names.forEach((name, g) => name.classList.toggle("drl-kin", String(g) === genre));
    if (!item) return this.put(this.label, "", 0, 0);
    const [x, y] = this.place(item);
    this.ring.setAttribute("cx", x);
    this.ring.setAttribute("cy", y);
    this.put(this.label, titleParts(this.source.items.title[item])[0], x, y > 40 ? y - 14 : y + 24);
  }
}
