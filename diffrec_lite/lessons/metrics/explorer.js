// The face of the ranking explorer: a list of books in which the true next book can be dragged, and three bars.
// All numbers come precomputed in `data`; nothing here asks the kernel.

const STYLE = `
.rl { font: 13px/1.35 system-ui, sans-serif; color: #222; background: #fff; padding: 8px; max-width: 760px; }
.rl-bar { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: center; margin-bottom: 6px; }
.rl-bar input[type=range] { width: 240px; accent-color: #D55E00; }
.rl-cols { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); gap: 18px; }
.rl-title { font-weight: 600; margin-bottom: 6px; }
.rl ol { list-style: none; margin: 0; padding: 0; } .rl li.target { touch-action: none; }
.rl li { height: 19px; padding: 0 6px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; color: #777; }
.rl li.in { background: #EAF3F9; color: #222; }
.rl li.last { border-bottom: 2px solid #0072B2; }
.rl li.target { background: #B34E00; color: #fff; font-weight: 600; cursor: grab; }
.rl li span { display: inline-block; width: 2em; text-align: right; margin-right: .7em; }
.rl-gain { margin: 0 0 12px; } .rl-gain b { float: right; font-variant-numeric: tabular-nums; }
.rl-track { height: 12px; background: #E6E6E6; margin-top: 2px; } .rl-track div { height: 12px; background: #009E73; }
.rl-past { color: #555; margin: 0 0 6px; } .rl :focus-visible { outline: 2px solid #0072B2; outline-offset: 1px; }
`;

const element = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};

function render({ model, el }) {
  const data = model.get("data");
  const SHOWN = 20, ROW = 19, FAR = Math.min(data.books, 60); // the slider ends where nothing happens any more
  const pickReader = element("select", { ariaLabel: "reader" },
    ...data.readers.map((r, i) => element("option", { value: i, textContent: r.name })));
  const pickK = element("select", { ariaLabel: "k, the length of the list" },
    ...data.ks.map((k) => element("option", { value: k, textContent: k })));
  const slider = element("input", { type: "range", min: 1, max: FAR, step: 1, ariaLabel: "rank of the true book" });
  const shown = element("output"), title = "Move the true next book through the ranking";
  const past = element("p", { className: "rl-past" });
  const list = element("ol", { ariaLabel: "the ranking" });
  const bars = element("div");
  const told = element("p", { className: "rl-told" });
  told.setAttribute("aria-live", "polite");
  const root = element("div", { className: "rl" }, element("style", { textContent: STYLE }),
    element("div", { className: "rl-title", textContent: title }),
    element("div", { className: "rl-bar" }, element("label", {}, "Reader ", pickReader), element("label", {}, "k ", pickK),
      element("label", {}, "Rank ", slider, " ", shown)),
    past, element("div", { className: "rl-cols" }, list, element("div", {}, bars, told)));
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", title);
  el.append(root);

  const clamp = (rank) => Math.min(Math.max(rank, 1), data.books);
  const set = (name, value) => { model.set(name, value); model.save_changes(); };

  function draw() {
    const rank = clamp(model.get("rank")), k = model.get("k"), reader = data.readers[model.get("reader")];
    pickReader.value = model.get("reader"); pickK.value = k; slider.value = rank;
    shown.textContent = rank;
    slider.setAttribute("aria-valuetext", `rank ${rank} of ${data.books}`);
    past.textContent = `Has read, latest last: ${reader.history.join(" · ")}`;
    const titles = [...reader.others];
    titles.splice(rank - 1, 0, reader.target);
    list.replaceChildren(...titles.slice(0, SHOWN).map((title, i) => {
      const at = i + 1, row = element("li", {}, element("span", { textContent: at }), title);
      row.className = (at <= k ? "in " : "") + (at === k ? "last " : "") + (at === rank ? "target" : "");
      return row;
    }));
    if (rank > SHOWN) list.append(element("li", { className: "target" },
      element("span", { textContent: rank }), reader.target));
    const which = data.ks.indexOf(k);
    const gains = [[`HR@${k}`, data.gains.HR[which][rank - 1]], [`NDCG@${k}`, data.gains.NDCG[which][rank - 1]],
      ["MRR", data.gains.MRR[0][rank - 1]]];
    bars.replaceChildren(...gains.map(([name, gain]) => {
      const fill = element("div");
      fill.style.width = `${100 * gain}%`;
      return element("div", { className: "rl-gain" }, name, element("b", { textContent: gain.toFixed(3) }),
        element("div", { className: "rl-track" }, fill));
    }));
    told.textContent = `“${reader.target}” is at rank ${rank} of ${data.books}, ` +
      (rank <= k ? `inside the first ${k}.` : `outside the first ${k}: only MRR still sees it.`) +
      (rank === reader.rank ? " Here the model put it." : ` The model put it at rank ${reader.rank}.`);
  }

  slider.addEventListener("input", () => set("rank", Number(slider.value)));
  for (const control of [slider, pickReader, pickK]) // JupyterLab would take the arrow keys for itself
    control.addEventListener("keydown", (event) => event.stopPropagation());
  pickK.addEventListener("change", () => set("k", Number(pickK.value)));
  pickReader.addEventListener("change", () => {
    const chosen = Number(pickReader.value); // read first: setting the rank draws, and drawing resets the list
    model.set("rank", data.readers[chosen].rank);
    set("reader", chosen);
  });

  let dragging = false;
  const follow = (event) => {
    const top = list.getBoundingClientRect().top;
    set("rank", Math.min(clamp(Math.floor((event.clientY - top) / ROW) + 1), SHOWN + 1));
  };
  list.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".target")) return;
    dragging = true;
    list.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  list.addEventListener("pointermove", (event) => { if (dragging) follow(event); });
  for (const end of ["pointerup", "pointercancel"]) list.addEventListener(end, () => { dragging = false; });

  const names = ["change:rank", "change:k", "change:reader"];
  names.forEach((name) => model.on(name, draw));
  draw();
  return () => names.forEach((name) => model.off(name, draw));
}

export default { render };
