// Training curves of one run beside a healthy one, on axes that never change. Every number is already in `data`.

const W = 214, H = 176, LEFT = 34, RIGHT = 8, TOP = 10, BOTTOM = 34; // of one panel, in its own units
const RUN = "#B34E00", HEALTHY = "#444", INK = "#222";
const HALO = { stroke: "#fff", "stroke-width": 3, "paint-order": "stroke" }; // text that grid lines do not cross

const element = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};

// One panel: axes and guide line once, and a function that draws the two curves up to an epoch.
function makePanel(panel, last) {
  const box = shape("svg", null, { viewBox: `0 0 ${W} ${H}`, role: "img", "font-size": 12, fill: INK, width: "100%" });
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
  const draw = (theirs, ours, epochs) => {
    healthy.setAttribute("points", points(theirs.slice(0, epochs)));
    own.setAttribute("points", points(ours.slice(0, epochs)));
    dot.setAttribute("cx", x(epochs));
    dot.setAttribute("cy", y(ours[epochs - 1]));
    box.setAttribute("aria-label", `${panel.name}, epoch ${epochs}: ${ours[epochs - 1]}, healthy ${theirs[epochs - 1]}`);
  };
  return { node: element("div", {}, element("div", { className: "tc-name", textContent: panel.name }), box), draw };
}

const STYLE = `
.tc-panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(186px, 100%), 1fr)); gap: 4px 12px; }
.tc-name { font-weight: 600; font-size: 13px; } .tc-key { font-size: 13px; margin: 2px 0 6px; }
.diffrec-curves .drl-control { flex-wrap: wrap; } .diffrec-curves input[type="range"] { width: min(220px, 100%); }
.tc-key b { color: ${RUN}; } .tc-key i { color: ${HEALTHY}; font-style: normal; }
.tc-verdict { margin-top: 6px; padding: 6px 10px; border-left: 4px solid #bbb; background: #f6f6f6; min-height: 5.8em; }
.tc-verdict.right { border-color: #009E73; } .tc-verdict.wrong { border-color: ${RUN}; }
`;

function render({ model, el }) {
  const data = model.get("data");
  const asks = data.choices.length > 0;
  const label = (text, control) => element("label", { className: "drl-control" }, text, control);
  const pick = element("select", { ariaLabel: data.pick }, ...data.runs.map((run, i) => new Option(run.label, i)));
  const slider = element("input", { type: "range", min: 1, max: data.last, step: 1, ariaLabel: "Epochs seen" });
  const seen = element("output", { className: "drl-value" });
  const guess = element("select", { ariaLabel: "Your diagnosis" }, new Option("choose …", -1),
    ...data.choices.map((name, i) => new Option(name, i)));
  const bar = element("div", { className: "drl-bar" }, label(data.pick, pick),
    element("label", { className: "drl-control" }, "Epochs seen", slider, seen));
  if (asks) bar.append(label("Your diagnosis", guess));
  const panels = data.panels.map((panel) => makePanel(panel, data.last));
  const key = element("div", { className: "tc-key" });
  key.append(element("b", { textContent: "━ this run" }), "   ", element("i", { textContent: "╌ the healthy run" }));
  const readout = element("div", { className: "drl-readout" });
  readout.setAttribute("aria-live", "polite");
  const told = element("div", { className: "tc-verdict" });
  told.setAttribute("aria-live", "polite");
  const root = element("div", { className: "drl-explorer diffrec-curves" }, element("style", { textContent: STYLE }),
    element("div", { className: "drl-title", textContent: data.title }), bar, key,
    element("div", { className: "tc-panels" }, ...panels.map((panel) => panel.node)), readout);
  if (asks) root.append(told);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.title);
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab must not take the arrow keys
  root.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(root);

  function draw() {
    const run = data.runs[model.get("run")], epochs = model.get("epochs"), guessed = model.get("guess");
    pick.value = model.get("run"); slider.value = epochs; guess.value = guessed;
    seen.textContent = `${epochs} of ${data.last}`;
    slider.setAttribute("aria-valuetext", seen.textContent);
    panels.forEach((panel, i) => panel.draw(data.healthy[i], run.curves[i], epochs));
    readout.textContent = run.readouts[epochs - 1];
    if (!asks) return;
    told.textContent = guessed < 0 ? "Look at all three panels before you choose." : run.answers[guessed];
    told.className = "tc-verdict" + (guessed < 0 ? "" : guessed === run.right ? " right" : " wrong");
  }

  const set = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
    draw();
  };
  pick.addEventListener("change", () => set({ run: Number(pick.value), guess: -1 }));
  slider.addEventListener("input", () => set({ epochs: Number(slider.value) }));
  guess.addEventListener("change", () => set({ guess: Number(guess.value) }));
  const names = ["change:run", "change:epochs", "change:guess"];
  names.forEach((name) => model.on(name, draw));
  draw();
  return () => names.forEach((name) => model.off(name, draw));
}

export default { render };
