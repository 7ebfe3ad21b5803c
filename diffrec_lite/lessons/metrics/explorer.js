// A list of books in which the true next book can be dragged, and for each metric its equation in numbers and a bar.
// All numbers come precomputed in `data`; nothing here asks the kernel.
const ROW = 20; // the height of a row, as in explorer.css

function render({ model, el }) {
  const data = model.get("data");
  const { books, shown } = data;
  const root = makeRoot(el, "Move the true next book through the ranking", "drl-ranking");
  const forget = askFirst(root, model);
  const bar = make("div", root, undefined, "drl-bar");
  const readers = makeSelect(bar, "Reader", data.readers.map((r) => r.name), (reader) =>
    put(model, { reader, rank: data.readers[reader].rank }));
  const ks = makeSelect(bar, "k, the length of the list", data.ks, (chosen) => put(model, { k: data.ks[chosen] }));
  const slider = makeSlider(bar, "Rank of the true book", 1, books, (rank) => put(model, { rank }));
  const told = (r) => `Has read, latest last: ${r.history.join(" · ")}`;
  const past = makePlace(root, data.readers.map(told), "rank-past");

  const columns = make("div", root, undefined, "rank-columns");
  const list = make("ol", columns, undefined, "rank-list");
  list.setAttribute("aria-label", "the ranking");
  // One row more than the list has: there the true book stands when it is further down.
  const rows = Array.from({ length: shown + 1 }, () => {
    const row = make("li", list);
    make("span", row, "⠿", "grip").setAttribute("aria-hidden", "true");
    return { row, number: make("span", row, "", "number"), title: make("span", row), series: make("span", row) };
  });
  const side = make("div", columns);
  const gains = Array.from({ length: 3 }, () => {
    const gain = make("div", side, undefined, "rank-gain");
    const value = make("b", gain);
    return { equation: make("span", gain, "", "drl-equation"), value, bar: make("div", make("div", gain, undefined, "rank-track")) };
  });
  const says = (reader, rank, k) => `“${reader.target}” is at rank ${rank} of ${books}, `
    + (rank <= k ? `inside the first ${k}.` : `outside the first ${k}: only MRR still sees it.`)
    + (rank === reader.rank ? " Here the model put it." : ` The model put it at rank ${reader.rank}.`);
  const readout = makePlace(side, data.readers.map((r) => says(r, books, data.ks[0])), "drl-readout");

  function draw() {
    const rank = Math.min(Math.max(model.get("rank"), 1), books), k = model.get("k");
    const reader = data.readers[model.get("reader")], which = data.ks.indexOf(k);
    readers.value = model.get("reader");
    ks.value = which;
    slider.write(rank, `${rank} of ${books}`);
    past.textContent = told(reader);
    const titles = [...reader.others];
    titles.splice(rank - 1, 0, reader.target);
    rows.forEach(({ row, number, title, series }, i) => {
      const at = i < shown ? i + 1 : rank > shown ? rank : null;
      row.className = at === null ? "" : (at <= k ? "in " : "") + (at === k ? "last " : "") + (at === rank ? "target" : "");
      number.textContent = at ?? "";
      const [name, ...rest] = (at === null ? "…" : at === rank ? reader.target : titles[i]).split(/(?= \()/);
      title.textContent = name;
      series.textContent = rest.join("");
    });
    const inside = `[${rank} ≤ ${k}]`, log = `log<sub>2</sub>(${rank} + 1)`;
    const now = [
      [`HR@${k} = ${inside}`, data.gains.HR[which][rank - 1]],
      [`NDCG@${k} = ${inside} / ${log}`, data.gains.NDCG[which][rank - 1]],
      [`MRR = 1 / ${rank}`, data.gains.MRR[0][rank - 1]],
    ];
    now.forEach(([equation, gain], i) => {
      gains[i].equation.innerHTML = equation;
      gains[i].value.textContent = gain.toFixed(3);
      gains[i].bar.style.width = `${100 * gain}%`;
    });
    readout.textContent = says(reader, rank, k);
  }

  let dragging = false;
  const follow = (event) => {
    const place = Math.floor((event.clientY - list.getBoundingClientRect().top) / ROW) + 1;
    put(model, { rank: Math.min(Math.max(place, 1), shown + 1) });
  };
  list.addEventListener("pointerdown", (event) => {
    const held = event.target.closest(event.pointerType === "mouse" ? ".target" : ".target .grip");
    if (!held) return;
    dragging = true;
    list.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  list.addEventListener("pointermove", (event) => { if (dragging) follow(event); });
  for (const end of ["pointerup", "pointercancel"]) list.addEventListener(end, () => { dragging = false; });

  const heard = ["rank", "k", "reader"].map((name) => `change:${name}`);
  heard.forEach((name) => model.on(name, draw));
  draw();
  return () => { forget(); heard.forEach((name) => model.off(name, draw)); };
}

export default { render };
