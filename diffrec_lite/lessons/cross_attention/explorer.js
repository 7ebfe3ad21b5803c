// Who asks, who answers: a table of weights. Every state is already here; this file picks one and writes it.

// Grey is hidden by a mask; otherwise white to blue, by the square root of the weight, so that small weights show.
function paint(cell, weight) {
  const part = Math.sqrt(weight);
  const mix = (from, to) => Math.round(from + part * (to - from));
  cell.style.background = weight === 0 ? "#d9d9d9" : `rgb(${mix(255, 0)}, ${mix(255, 74)}, ${mix(255, 120)})`;
  cell.style.color = weight > 0.2 ? "#fff" : "#222";
}

function render({ model, el }) {
  const data = model.get("data");
  const root = make("div", el, undefined, "drl-explorer diffrec-attention");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.title);
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab must not take the arrow keys
  root.addEventListener("keydown", (event) => event.stopPropagation());
  make("div", root, data.title, "drl-title");
  const bar = make("div", root, undefined, "drl-bar");
  const selects = data.controls.map(({ label, texts }, k) => {
    const control = make("label", bar, label, "drl-control");
    const select = make("select", control);
    select.style.maxWidth = "15em";
    select.setAttribute("aria-label", label);
    texts.forEach((text, i) => select.append(new Option(text, i)));
    select.addEventListener("change", () => {
      model.set("state", model.get("state").map((value, n) => (n === k ? Number(select.value) : value)));
      model.save_changes();
      draw();
    });
    return select;
  });
  const frame = make("div", root);
  frame.style.overflowX = "auto"; // on a phone the map scrolls and the page does not
  const table = make("table", frame);
  table.style.cssText = "border-collapse: collapse; font-size: 13px; margin: 4px 0";
  const readout = make("div", root, "", "drl-readout");
  readout.setAttribute("aria-live", "polite");

  function draw() {
    const state = model.get("state");
    selects.forEach((select, k) => { select.value = state[k]; });
    const shown = data.states[state.join("/")];
    table.replaceChildren();
    make("caption", table, `Columns: ${shown.answers}. Weights in per cent.`).style.cssText =
      "caption-side: bottom; text-align: right; padding-top: 4px";
    const head = make("tr", make("thead", table));
    make("th", head, "who asks").style.textAlign = "right";
    shown.asks.forEach((_, place) => { make("th", head, place + 1).style.textAlign = "center"; });
    const body = make("tbody", table);
    shown.weights.forEach((row, place) => {
      const line = make("tr", body);
      const name = make("th", line, `${shown.asks[place]}  ${place + 1}`);
      name.style.cssText = "text-align: right; font-weight: 400; padding: 2px 8px 2px 0; max-width: 26em; min-width: 11em";
      row.forEach((weight) => {
        const cell = make("td", line, weight === 0 ? "–" : (100 * weight).toFixed(1));
        cell.style.cssText = "width: 38px; min-width: 38px; height: 26px; text-align: center; border: 1px solid #fff; padding: 0";
        paint(cell, weight);
      });
    });
    readout.textContent = shown.text;
  }

  model.on("change:state", draw);
  draw();
  return () => model.off("change:state", draw);
}

export default { render };
