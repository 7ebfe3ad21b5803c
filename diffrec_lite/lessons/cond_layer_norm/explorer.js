// What a condition sets, book by book: a strip of colours for each gain and each shift, and one feature in numbers.

const minus = (value) => value.toFixed(2).replace("-", "−");

// A strip of one colour a feature; returns the function that paints it.
function strip(parent, width) {
  const canvas = make("canvas", parent);
  canvas.width = width;
  canvas.height = 1;
  canvas.setAttribute("aria-hidden", "true");
  const pen = canvas.getContext("2d");
  return (colours) => colours.forEach((colour, i) => {
    pen.fillStyle = colour;
    pen.fillRect(i, 0, 1, 1);
  });
}

function render({ model, el }) {
  const data = model.get("data");
  const { palette, features } = data;
  const root = makeRoot(el, "Scale and shift of a trained DCRec", "diffrec-fields");
  root.style.setProperty("--width", 1 / features);
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const choose = (k) => (value) => put(model, { state: model.get("state").with(k, value) });
  const readers = makeSelect(bar, "Reader", data.readers, choose(0));
  const layers = makeSelect(bar, "Layer", data.layers, choose(1));
  const step = makeSlider(bar, "Step t", 0, data.steps.length - 1, choose(2));
  const feature = makeSlider(bar, "Feature", 0, features - 1, choose(3));

  const map = make("div", root);
  map.setAttribute("role", "img");
  const head = make("div", map, undefined, "field-row field-head");
  ["the book that sets them", "gain (1 + scale)", "", "shift", ""].forEach((text, i) => {
    make("div", head, text, i === 0 ? "field-corner" : "");
  });
  const rows = Array.from({ length: Math.max(...data.books.map((books) => books.length)) }, () => {
    const row = make("div", map, undefined, "field-row");
    const name = make("div", row, undefined, "field-name");
    const [gain, shift] = [0, 1].map(() => {
      const frame = make("div", row, undefined, "field-strip");
      const paint = strip(frame, features);
      make("div", frame);
      return { paint, number: make("div", row, "", "field-number") };
    });
    return { row, name, gain, shift };
  });
  const key = make("div", map, undefined, "field-row field-key");
  make("div", key, "colours", "field-corner").style.fontSize = "12px";
  const scales = [0, 1].map(() => {
    const box = make("div", key);
    strip(box, palette.length)(palette);
    make("div", key);
    const scale = make("div", box, undefined, "field-scale");
    return [0, 1, 2].map(() => make("span", scale));
  });
  const lines = makeEquation(root, 2);
  const readout = makePlace(root, Object.values(data.states).map(({ text }) => text), "drl-readout");

  function draw() {
    const [r, k, s, f] = model.get("state");
    const now = data.states[[r, k, s].join("/")], reach = data.reach[k];
    const colour = (value) => palette[Math.min(Math.max(Math.floor(((value + reach) / (2 * reach)) * palette.length), 0), palette.length - 1)];
    readers.value = r;
    layers.value = k;
    step.write(s, `${data.steps[s]}`);
    feature.write(f, `${f + 1} of ${features}`);
    root.style.setProperty("--feature", f / features);
    rows.forEach(({ row, name, gain, shift }, i) => {
      const book = data.books[r][i];
      row.hidden = !book;
      if (!book) return;
      name.textContent = book.title.replace(/ \(.*/, "");
      make("span", name, book.genre);
      name.style.borderLeftColor = book.tint;
      gain.paint(now.gain[i].map((value) => colour(value / 100 - 1)));
      shift.paint(now.shift[i].map((value) => colour(value / 100)));
      gain.number.textContent = minus(now.gain[i][f] / 100);
      shift.number.textContent = signed(now.shift[i][f] / 100);
    });
    [1, 0].forEach((centre, k) => [-1, 0, 1].forEach((side, i) => {
      scales[k][i].textContent = minus(centre + side * reach);
    }));
    const gain = now.gain[now.strongest][f] / 100, shift = now.shift[now.strongest][f] / 100;
    lines[0].innerHTML = "<var>y</var> = LN(<var>x</var>) · (1 + scale) + shift";
    lines[1].innerHTML = `feature ${f + 1} beside the strongest book: <var>y</var> = LN(<var>x</var>) · ${minus(gain)} ${signed(shift).replace(/^(.)/, "$1 ")}`;
    readout.textContent = now.text;
    map.setAttribute("aria-label", `${model.get("alt")} ${now.text}`);
  }

  model.on("change:state", draw);
  draw();
  return () => { forget(); model.off("change:state", draw); };
}

export default { render };
