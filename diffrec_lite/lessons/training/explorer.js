// Training curves of one run beside a healthy one, on axes that never change. Every number is already in `data`.

const W = 214, H = 176, LEFT = 34, RIGHT = 8, TOP = 10, BOTTOM = 34; // of one panel, in its own units
const RUN = "#B34E00", HEALTHY = "#444", INK = "#222";
const UNASKED = "Look at all three panels before you choose.";
const HALO = { stroke: "#fff", "stroke-width": 3, "paint-order": "stroke" }; // text that grid lines do not cross

// One panel: axes and guide line once; returns the function that draws the two curves up to an epoch.
function makePanel(parent, panel, last) {
  const place = make("div", parent);
  make("div", place, panel.name, "tc-name");
  const box = shape("svg", place, { viewBox: `0 0 ${W} ${H}`, role: "img", "font-size": 12, fill: INK, width: "100%" });
  const log = panel.scale === "log", [low, high] = panel.range.map((v) => (log ? Math.log(v) : v));
  const x = (epoch) => LEFT + ((epoch - 0.5) / last) * (W - LEFT - RIGHT);
  const y = (value) => {
    const share = ((log ? Math.log(value) : value) - low) / (high - low);
    return H - BOTTOM - Math.min(Math.max(share, 0), 1) * (H - TOP - BOTTOM);
  };
  const text = (content, attributes) => { shape("text", box, attributes, content); };
  for (const tick of panel.ticks) {
    shape("line", box, { x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick), stroke: "#e2e2e2" });
    text(String(tick), { x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" });
  }
  for (let epoch = 1; epoch <= last; epoch += 5)
    text(String(epoch), { x: x(epoch), y: H - BOTTOM + 15, "text-anchor": "middle" });
  text("epoch", { x: (LEFT + W) / 2, y: H - 4, "text-anchor": "middle" });
  if (panel.guide) {
    const at = y(panel.guide.value);
    shape("line", box, { x1: LEFT, x2: W - RIGHT, y1: at, y2: at, stroke: INK, "stroke-dasharray": "1 3" });
    text(panel.guide.text, { x: W - RIGHT, y: at + (panel.guide.below ? 14 : -4), "text-anchor": "end", ...HALO });
  }
  const own = shape("polyline", box, { fill: "none", stroke: RUN, "stroke-width": 3 });
  const dot = shape("circle", box, { r: 4, fill: RUN });
  // Above the run, so that both are seen where they are alike.
  const healthy = shape("polyline", box, { fill: "none", stroke: HEALTHY, "stroke-width": 1.6, "stroke-dasharray": "4 4" });
  const points = (values) => values.map((v, i) => `${x(i + 1)},${y(v)}`).join(" ");
  return (theirs, ours, epochs) => {
    healthy.setAttribute("points", points(theirs.slice(0, epochs)));
    own.setAttribute("points", points(ours.slice(0, epochs)));
    dot.setAttribute("cx", x(epochs));
    dot.setAttribute("cy", y(ours[epochs - 1]));
    box.setAttribute("aria-label", `${panel.name}, epoch ${epochs}: ${ours[epochs - 1]}, healthy ${theirs[epochs - 1]}`);
  };
}

function render({ model, el }) {
  const data = model.get("data");
  const root = makeRoot(el, data.title, "diffrec-curves");
  const bar = make("div", root, undefined, "drl-bar");
  const run = makeSelect(bar, data.pick, data.runs.map(({ label }) => label), (run) => put(model, { run, guess: -1 }));
  const slider = makeSlider(bar, "Epochs seen", 1, data.last, (epochs) => put(model, { epochs }));
  const asks = data.choices.length > 0;
  const diagnosis = asks && makeSelect(bar, "Your diagnosis", ["choose …", ...data.choices], (place) =>
    put(model, { guess: place - 1 }));
  const key = make("div", root, undefined, "tc-key");
  make("b", key, "━ this run").style.color = RUN;
  make("span", key, "   ╌ the healthy run").style.color = HEALTHY;
  const row = make("div", root, undefined, "tc-panels");
  const panels = data.panels.map((panel) => makePanel(row, panel, data.last));
  const readout = make("div", root, "", "drl-readout");
  readout.setAttribute("aria-live", "polite");
  const verdict = asks && makePlace(root, [UNASKED, ...data.runs.flatMap(({ answers }) => answers)], "tc-verdict");

  function draw() {
    const shown = data.runs[model.get("run")], epochs = model.get("epochs"), guess = model.get("guess");
    run.value = model.get("run");
    slider.write(epochs, `${epochs} of ${data.last}`);
    panels.forEach((drawPanel, i) => drawPanel(data.healthy[i], shown.curves[i], epochs));
    readout.textContent = shown.readouts[epochs - 1];
    if (!asks) return;
    diagnosis.value = guess + 1;
    verdict.textContent = guess < 0 ? UNASKED : shown.answers[guess];
    verdict.className = `tc-verdict ${guess < 0 ? "" : guess === shown.right ? "right" : "wrong"}`;
  }

  const heard = ["run", "epochs", "guess"].map((name) => `change:${name}`);
  heard.forEach((name) => model.on(name, draw));
  draw();
  return () => heard.forEach((name) => model.off(name, draw));
}

export default { render };
