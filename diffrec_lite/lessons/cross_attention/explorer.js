// Who asks, who answers: a table of weights. Every state is already here; this file picks one and writes it.

// White to blue by the square root of the weight, so that small weights show; the ink stays legible on both.
function paint(cell, weight) {
  const part = Math.sqrt(weight);
  const mix = (to) => Math.round(255 + part * (to - 255));
  cell.style.background = `rgb(${mix(0)}, ${mix(74)}, ${mix(120)})`;
  cell.style.color = weight > 0.55 ? "#fff" : "#000";
}

function render({ model, el }) {
  const data = model.get("data");
  const root = makeRoot(el, "Who asks, who answers", "diffrec-attention");
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const selects = data.controls.map(({ label, texts }, k) => makeSelect(bar, label, texts, (chosen) =>
    put(model, { state: model.get("state").with(k, chosen) })));
  const states = Object.values(data.states);
  const table = make("table", root, undefined, "attention-map");
  table.setAttribute("role", "table"); // a narrow page lays it out anew, and it remains a table
  const columns = (shown) => `Columns: ${shown.answers}. Weights in per cent.`;
  const caption = makePlace(root, states.map(columns), "attention-columns");
  caption.removeAttribute("aria-live");
  const lines = makeEquation(root, 2);
  const readout = makePlace(root, states.map(({ text }) => text), "drl-readout");
  const part = (parent, tag, role, text) => {
    const node = make(tag, parent, text);
    node.setAttribute("role", role);
    return node;
  };

  function draw() {
    const state = model.get("state");
    selects.forEach((select, k) => { select.value = state[k]; });
    const shown = data.states[state.join("/")], places = shown.weights.length;
    table.replaceChildren();
    table.style.setProperty("--places", places);
    table.setAttribute("aria-label", `${model.get("alt")} ${columns(shown)}`);
    const head = part(part(table, "thead", "rowgroup"), "tr", "row");
    const corner = part(head, "th", "columnheader", "who asks");
    corner.className = "corner";
    shown.asks.forEach((_, place) => { part(head, "th", "columnheader", place + 1).scope = "col"; });
    const body = part(table, "tbody", "rowgroup");
    shown.weights.forEach((row, place) => {
      const line = part(body, "tr", "row");
      const who = part(line, "th", "rowheader");
      who.scope = "row";
      // The series of a title goes to a second line, out of sight, where there is no room for all of it.
      const [title, ...series] = `${place + 1} ${shown.asks[place]}`.split(/(?= \()/);
      const name = make("div", who, undefined, "attention-who");
      make("span", name, title);
      make("span", name, series.join(""));
      row.forEach((weight) => paint(part(line, "td", "cell", (100 * weight).toFixed(1)), weight));
    });
    caption.textContent = columns(shown);
    const value = (weight, place) => `<span style="white-space: nowrap">${weight.toFixed(3)} <var>v</var><sub>${place + 1}</sub></span>`;
    lines[0].textContent = "The answer to the last row, v being the values of who answers:";
    lines[1].innerHTML = shown.weights[places - 1].map(value).join(" + ");
    readout.textContent = shown.text;
  }

  model.on("change:state", draw);
  draw();
  return () => { forget(); model.off("change:state", draw); };
}

export default { render };
