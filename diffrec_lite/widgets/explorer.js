// Controls over precomputed pictures: every state is already here, so nothing is asked of a kernel.

function render({ model, el }) {
  const controls = model.get("controls");
  const pictures = model.get("pictures").map((data) => {
    const image = new Image(); // decoded before it is needed: a change never shows an empty frame
    image.src = "data:image/png;base64," + data;
    return image;
  });

  const root = makeRoot(el, model.get("title"), "");
  const bar = make("div", root, undefined, "drl-bar");
  const picture = make("img", root, undefined, "drl-picture");
  [picture.width, picture.height] = model.get("size");
  const readout = makePlace(root, model.get("readouts"), "drl-readout");

  const inputs = controls.map(({ kind, label, texts }, k) => {
    const change = (value) => {
      model.set("state", model.get("state").map((old, i) => (i === k ? value : old)));
      model.save_changes();
      update();
    };
    if (kind === "slider") return makeSlider(bar, label, 0, texts.length - 1, change);
    const select = makeSelect(bar, label, texts, change);
    return { input: select, write: (value) => { select.value = value; } };
  });

  function update() {
    const state = model.get("state");
    let place = 0;
    controls.forEach(({ texts }, k) => {
      place = place * texts.length + state[k];
      inputs[k].write(state[k], texts[state[k]]);
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
