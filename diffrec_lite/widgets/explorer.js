// Controls over precomputed pictures: every state is already here, so nothing is asked of a kernel.

function render({ model, el }) {
  const make = (tag, className, parent) => {
    const node = document.createElement(tag);
    node.className = className;
    parent.append(node);
    return node;
  };
  const controls = model.get("controls");
  const pictures = model.get("pictures").map((data) => {
    const image = new Image(); // decoded before it is needed: a change never shows an empty frame
    image.src = "data:image/png;base64," + data;
    return image;
  });

  const root = make("div", "drl-explorer", el);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", model.get("title"));
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab must not take the arrow keys
  root.addEventListener("keydown", (event) => event.stopPropagation());
  make("div", "drl-title", root).textContent = model.get("title");
  const bar = make("div", "drl-bar", root);
  const picture = make("img", "drl-picture", root);
  [picture.width, picture.height] = model.get("size");
  const readout = make("div", "drl-readout", root);
  readout.setAttribute("aria-live", "polite");

  const inputs = controls.map((control, k) => {
    const label = make("label", "drl-control", bar);
    make("span", "drl-label", label).textContent = control.label;
    const input = make(control.kind === "slider" ? "input" : "select", "drl-input", label);
    input.setAttribute("aria-label", control.label);
    let value = null;
    if (control.kind === "slider") {
      Object.assign(input, { type: "range", min: 0, max: control.texts.length - 1, step: 1 });
      value = make("output", "drl-value", label);
    } else {
      control.texts.forEach((text, i) => input.append(new Option(text, i)));
    }
    input.addEventListener("input", () => {
      const state = [...model.get("state")];
      state[k] = Number(input.value);
      model.set("state", state);
      model.save_changes();
      update();
    });
    return { input, value };
  });

  function update() {
    const state = model.get("state");
    let place = 0;
    controls.forEach((control, k) => {
      place = place * control.texts.length + state[k];
      inputs[k].input.value = state[k];
      if (inputs[k].value) {
        inputs[k].value.textContent = control.texts[state[k]];
        inputs[k].input.setAttribute("aria-valuetext", control.texts[state[k]]);
      }
    });
    const text = model.get("readouts")[place];
    picture.src = pictures[place].src;
    picture.alt = model.get("alt") + " " + text;
    readout.textContent = text;
  }

  model.on("change:state", update);
  update();
  return () => model.off("change:state", update);
}

export default { render };
