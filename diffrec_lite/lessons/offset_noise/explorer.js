// The noise, the means of its vectors, and who notices: three panels whose axes are the same in every state.
const W = 330, H = 150, LEFT = 38, RIGHT = 10, TOP = 10, BOTTOM = 38; // of a histogram, in its own units

// A histogram over -9 … 9 with its axes; returns a function that draws bars of these heights.
function histogram(parent, label, top, ticks, plain, colours) {
  const svg = shape("svg", parent, { class: "drl-chart", width: "100%", viewBox: `0 0 ${W} ${H}`, "aria-hidden": "true" });
  const x = (value) => LEFT + ((value + 9) / 18) * (W - LEFT - RIGHT);
  const y = (value) => H - BOTTOM - (value / top) * (H - BOTTOM - TOP);
  ticks.forEach((tick) => {
    shape("line", svg, { x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick), stroke: "#e6e6e6" });
    shape("text", svg, { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick);
  });
  [-8, -4, 0, 4, 8].forEach((tick) => shape("text", svg, { x: x(tick), y: H - BOTTOM + 16, "text-anchor": "middle" }, tick));
  shape("text", svg, { x: (LEFT + W - RIGHT) / 2, y: H - 6, "text-anchor": "middle" }, label);
  const outline = (heights) => "M" + heights.flatMap((height, i) => {
    const [from, to] = [i, i + 1].map((at) => x(-9 + (18 * at) / heights.length).toFixed(1));
    return [`${from},${y(height).toFixed(1)}`, `${to},${y(height).toFixed(1)}`];
  }).join("L");
  const bars = shape("path", svg, { fill: colours.noise });
  shape("path", svg, { d: outline(plain), fill: "none", stroke: "#555", "stroke-dasharray": "3 2" });
  shape("line", svg, { x1: LEFT, x2: W - RIGHT, y1: y(0), y2: y(0), stroke: "#666" });
  return (heights) => bars.setAttribute("d", `${outline(heights)}L${x(9)},${y(0)}L${x(-9)},${y(0)}Z`);
}

// Two bars for each group of ranks; returns a function that sets their lengths.
function ranking(parent, groups, readers, colours) {
  const ROW = 30, height = 54 + ROW * groups.length, from = 62, to = W - 34;
  const svg = shape("svg", parent, { class: "drl-chart", width: "100%", viewBox: `0 0 ${W} ${height}`, "aria-hidden": "true" });
  const hatch = `hatch-${Math.random().toString(36).slice(2)}`;
  const pattern = shape("pattern", shape("defs", svg), { id: hatch, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  shape("rect", pattern, { width: 5, height: 5, fill: "white" });
  shape("rect", pattern, { width: 1.6, height: 5, fill: colours.ink });
  const looks = [{ fill: `url(#${hatch})`, stroke: colours.ink }, { fill: colours.prediction, stroke: colours.prediction }];
  ["x_t alone", "the model"].forEach((name, k) => {
    shape("rect", svg, { x: from + 110 * k, y: 4, width: 18, height: 11, ...looks[k] });
    shape("text", svg, { x: from + 24 + 110 * k, y: 14 }, name);
  });
  shape("text", svg, { x: 4, y: 14 }, "rank");
  const x = (count) => from + (count / readers) * (to - from);
  [0, readers / 2, readers].forEach((tick) => {
    shape("line", svg, { x1: x(tick), x2: x(tick), y1: 22, y2: height - 32, stroke: "#e6e6e6" });
    shape("text", svg, { x: x(tick), y: height - 18, "text-anchor": "middle" }, tick);
  });
  shape("text", svg, { x: (from + to) / 2, y: height - 3, "text-anchor": "middle" }, "readers whose true book has this rank");
  const bars = groups.map((group, row) => {
    shape("text", svg, { x: from - 8, y: 42 + ROW * row, "text-anchor": "end" }, group);
    return looks.map((look, k) => {
      const top = 24 + ROW * row + 13 * k;
      return { bar: shape("rect", svg, { x: from, y: top, height: 11, ...look }), text: shape("text", svg, { y: top + 10 }) };
    });
  });
  return (...counts) => bars.forEach((pair, row) => pair.forEach(({ bar, text }, k) => {
    const count = counts[k][row];
    bar.setAttribute("width", x(count) - from);
    bar.setAttribute("visibility", count ? "visible" : "hidden");
    text.setAttribute("x", x(count) + 4);
    text.textContent = count;
  }));
}

function render({ model, el }) {
  const data = model.get("data");
  const { strengths, forms, states, colours } = data;
  const root = makeRoot(el, "Offset noise, and who notices it", "diffrec-offset");
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const choose = (k) => (value) => put(model, { state: model.get("state").with(k, value) });
  const picker = makeSelect(bar, "Form", forms, choose(1));
  const slider = makeSlider(bar, "Strength", 0, strengths.length - 1, choose(0));
  const panels = make("div", root);
  panels.setAttribute("role", "img");
  panels.style.cssText = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(280px, 100%), 1fr)); gap: 6px 18px";
  const left = make("div", panels), right = make("div", panels);
  const drawNoise = histogram(left, "one number of the noise", 0.45, [0, 0.2, 0.4], states[0][0].noise, colours);
  const drawMeans = histogram(left, "mean of one vector", 3.5, [0, 1, 2, 3], states[0][0].means, colours);
  make("div", left, "Purple: density with the offset; dashed: without.").style.fontSize = "13px";
  const lines = makeEquation(left, 3);
  const drawRanks = ranking(right, data.groups, data.readers, colours);
  const readout = makePlace(root, states.flat().map(({ text }) => text), "drl-readout");

  function draw() {
    const [s, f] = model.get("state"), now = states[s][f], strength = strengths[s].toFixed(1);
    picker.value = f;
    slider.write(s, strengths[s]);
    const tilde = "<var>ε̃</var> = <var>ε</var> + ";
    lines[0].innerHTML = tilde + (f === 0 ? `${strength} for every vector` : `<var>γζ</var>, with <var>γ</var> = ${strength} and one <var>ζ</var> a vector`);
    data.eps.forEach((eps, i) => {
      const zeta = data.zeta[i], offset = strengths[s] * (f === 0 ? 1 : zeta);
      lines[i + 1].textContent = `${i === 0 ? "one vector" : "another"}: ${signed(eps)} + ${strength}`
        + (f === 0 ? "" : ` · (${signed(zeta)})`) + ` = ${signed(eps + offset)}`;
    });
    drawNoise(now.noise);
    drawMeans(now.means);
    drawRanks(now.rounding, now.model);
    readout.textContent = now.text;
    panels.setAttribute("aria-label", `${model.get("alt")} ${now.text}`);
  }

  model.on("change:state", draw);
  draw();
  return () => { forget(); model.off("change:state", draw); };
}

export default { render };
