// Build your own shelf: the learner picks books, and `network.js` recommends, here in the page. Nothing is asked of a
// kernel. The marks come from marks.js, `trajectory` and `unpack` from network.js; both stand before this file.

const BEST = 5;
const OFFERED = 60; // books that a search lists at most
const W = 300, H = 136, LEFT = 34, RIGHT = 12, TOP = 10, BOTTOM = 38; // of a chart of ranks

// The books of `catalogue` that a filter leaves, by id: a genre, a series, and words of the title.
function matching(catalogue, kind, name, words) {
  const asked = words.toLowerCase().split(/\s+/).filter(Boolean);
  return catalogue.map((_, item) => item).slice(1).filter((item) => {
    const book = catalogue[item];
    return (kind === "" || book[kind] === name) && asked.every((word) => book.title.toLowerCase().includes(word));
  });
}

// What is shown of one walk: for each state its step t, the five best items, the rank of every item, and the softmax of
// the scores, the share of its belief that the model puts on each.
function walk(model, shelf, options) {
  return [...trajectory(model, shelf, options)].map(({ t, x0_hat, scores }) => {
    const order = scores.map((_, item) => item).slice(1).sort((a, b) => scores[b] - scores[a] || a - b);
    const ranks = [];
    order.forEach((item, place) => { ranks[item] = place + 1; });
    return { t, noise: x0_hat === null, best: order.slice(0, BEST), ranks, scores, shares: softmax(scores) };
  });
}

// The ranks of the last state's five best after every state, one line a book, the scale logarithmic.
function drawRanks(svg, states, at, books, colours) {
  svg.replaceChildren();
  const last = states.length - 1, most = states[0].scores.length - 1;
  const x = (k) => LEFT + (k / last) * (W - LEFT - RIGHT);
  const y = (rank) => TOP + (Math.log(rank) / Math.log(most)) * (H - TOP - BOTTOM);
  for (const rank of [1, 5, 20, 100].filter((rank) => rank < most)) {
    shape("line", svg, { x1: LEFT, x2: W - RIGHT, y1: y(rank), y2: y(rank), stroke: "#e6e6e6" });
    shape("text", svg, { x: LEFT - 6, y: y(rank) + 4, "text-anchor": "end" }, rank);
  }
  shape("line", svg, { x1: x(at), x2: x(at), y1: TOP - 4, y2: H - BOTTOM + 2, stroke: "#222" });
  for (const k of [0, last]) {
    const edge = k === 0 ? "start" : "end";
    shape("text", svg, { x: x(k), y: H - BOTTOM + 16, "text-anchor": edge }, `t = ${states[k].t}`);
  }
  shape("text", svg, { x: (LEFT + W - RIGHT) / 2, y: H - BOTTOM + 30, "text-anchor": "middle" },
    "rank of the final five, after each step");
  const told = states[last].best.map((item, place) => {
    const ranks = states.map((state) => state.ranks[item]);
    const d = ranks.map((rank, k) => `${k ? "L" : "M"}${x(k)},${y(rank)}`).join("");
    const stroke = { stroke: colours.prediction, "stroke-width": 2, "stroke-opacity": 1 - place * 0.14 };
    shape("path", svg, { d, fill: "none", ...stroke });
    shape("circle", svg, { cx: x(at), cy: y(ranks[at]), r: 3.5, fill: colours.prediction });
    return `${books[item].title}: ${ranks.join(", ")}`;
  });
  svg.setAttribute("aria-label", `Ranks of the final five after each state. ${told.join("; ")}.`);
}

function render({ model, el }) {
  const books = model.get("books"), networks = model.get("packs").map(unpack), colours = model.get("colours");
  const samplers = model.get("samplers"), counts = model.get("steps");
  let walks = null; // of each model; null for an empty shelf
  let before = null; // what they were before the last change
  let change = ""; // that change, in words
  let key = ""; // of what `walks` belongs to
  let mine = false; // whether this view makes the change, and not the kernel or another view

  const root = makeRoot(el, "Build your own shelf", "drl-live-shelf");

  // ---- the shelf, and what can be put on it

  const columns = make("div", root, undefined, "ls-columns");
  const own = make("section", columns);
  const count = make("h4", own);
  const shelf = make("ol", own, undefined, "ls-list ls-books");
  const shop = make("section", columns);
  const shopCount = make("h4", shop);
  const filters = make("div", shop, undefined, "drl-bar");
  const kinds = [["", "all books"]];
  const pick = make("select", make("label", filters, "Show", "drl-control"));
  pick.setAttribute("aria-label", "Genre or series");
  pick.append(new Option("all books", 0));
  for (const [kind, name] of [["genre", "Genres"], ["series", "Series"]]) {
    const group = make("optgroup", null);
    group.label = name;
    for (const one of [...new Set(books.map((book) => book[kind]))].filter(Boolean).sort()) {
      group.append(new Option(one, kinds.push([kind, one]) - 1));
    }
    if (group.children.length) pick.append(group);
  }
  const words = make("input", make("label", filters, "Search", "drl-control"));
  Object.assign(words, { type: "search", size: 12 });
  words.setAttribute("aria-label", "Words of a title");
  const found = make("select", shop, undefined, "ls-found");
  found.size = 7;
  found.setAttribute("aria-label", "Books of the shop");
  const addButton = make("button", shop, "Add to the shelf");
  addButton.type = "button";
  const samples = make("div", root, undefined, "drl-bar");
  make("span", samples, "Begin with:");
  for (const sample of model.get("shelves")) {
    const button = make("button", samples, sample.name);
    button.type = "button";
    button.addEventListener("click", () => edit(sample.shelf, `the shelf is now that of ${sample.name}`));
  }
  const clear = make("button", samples, "Empty");
  clear.type = "button";
  clear.addEventListener("click", () => edit([], "the shelf was emptied"));

  // ---- the walk

  const bar = make("div", root, undefined, "drl-bar");
  const steps = makeSelect(bar, "Steps", counts.map(String), (i) =>
    move({ steps: counts[i], at: counts[i] }, plural(counts[i], "step")));
  const sampler = makeSelect(bar, "Sampler", ["each model's own", ...samplers], (i) =>
    move({ sampler: ["own", ...samplers][i] }, i ? `sampler ${samplers[i - 1]}` : "each model's own sampler"));
  const seed = makeSelect(bar, "Noise seed", Array.from({ length: model.get("seeds") }, (_, i) => String(i)), (i) =>
    move({ seed: i }, `noise seed ${i}`));
  const clock = makeSlider(bar, "After step", 0, 1, (at) => move({ at }));
  const panels = make("div", root, undefined, "ls-columns");
  const shown = networks.map(({ settings }) => {
    const panel = make("section", panels, undefined, "ls-panel");
    make("h4", panel, settings.model);
    const where = make("div", panel, "", "ls-where");
    const list = make("ol", panel, undefined, "ls-list ls-best");
    const svg = shape("svg", panel, { viewBox: `0 0 ${W} ${H}`, role: "img" });
    return { where, list, svg };
  });
  const told = make("div", root, "", "drl-readout ls-told");
  told.setAttribute("aria-live", "polite");

  // ---- changes

  function move(part, said) {
    if (said !== undefined) [before, change] = [walks, said];
    mine = true;
    put(model, { state: { ...model.get("state"), ...part } });
    mine = false;
    update();
  }

  const most = Math.min(...networks.map((network) => network.settings.max_len));

  function edit(list, said) {
    move({ shelf: list.slice(-most), at: model.get("state").steps }, said);
    shelf.scrollTop = shelf.scrollHeight; // the latest book is the last
  }

  function addBook() {
    const item = Number(found.value);
    if (!item || found.selectedOptions[0].disabled) return;
    const next = found.selectedIndex + 1, read = model.get("state").shelf;
    const fell = read.length < most ? "" : `, and ${books[read[0]].title} fell off: the shelf holds ${most}`;
    edit([...read, item], `${books[item].title} was added${fell}`);
    found.selectedIndex = Math.min(next, found.length - 1);
  }

  addButton.addEventListener("click", addBook);
  found.addEventListener("dblclick", addBook);
  found.addEventListener("keydown", (event) => {
    if (event.key === "Enter") addBook();
  });
  pick.addEventListener("change", search);
  words.addEventListener("input", search);

  function search() {
    const [kind, name] = kinds[Number(pick.value)];
    const chosen = found.value, items = matching(books, kind, name, words.value), read = model.get("state").shelf;
    found.replaceChildren(...items.slice(0, OFFERED).map((item) => {
      const option = new Option((read.includes(item) ? "on the shelf: " : "") + books[item].title, item);
      option.disabled = read.includes(item);
      return option;
    }));
    found.value = chosen;
    const listed = Math.min(items.length, OFFERED);
    const part = listed < items.length ? `, ${listed} listed` : "";
    shopCount.textContent = `The shop: ${plural(items.length, "book")}${part}`;
  }

  // ---- drawing

  function drawShelf() {
    const read = model.get("state").shelf;
    count.textContent = `Your shelf: ${plural(read.length, "book")}, oldest first`;
    shelf.replaceChildren();
    if (!read.length) make("li", shelf, "Empty. Add a book: without one there is nothing to go by.", "ls-empty");
    read.forEach((item, place) => {
      const { title, genre } = books[item];
      const row = make("li", shelf);
      const label = make("span", row, title, "ls-title");
      if (genre) make("small", label, ` ${genre}`);
      const swap = (other) => () => {
        const list = [...read];
        [list[place], list[other]] = [list[other], list[place]];
        edit(list, `${title} was moved to place ${other + 1}`);
        focus(other, other < place ? 0 : 1);
      };
      const remove = () => {
        edit(read.filter((_, i) => i !== place), `${title} was taken off`);
        focus(Math.min(place, read.length - 2), 2);
      };
      const buttons = [
        ["↑", "earlier", swap(place - 1), place > 0],
        ["↓", "later", swap(place + 1), place < read.length - 1],
        ["✕", "off the shelf", remove, true],
      ];
      for (const [sign, whither, act, possible] of buttons) {
        const button = make("button", row, sign);
        button.type = "button";
        button.title = `${title}: ${whither}`;
        button.setAttribute("aria-label", button.title);
        button.disabled = !possible;
        button.addEventListener("click", act);
      }
    });
  }

  // After the list was drawn again: back to the same button of a place, or to its ✕ where that one is at rest.
  function focus(place, button) {
    const buttons = shelf.children[place]?.querySelectorAll("button") ?? [];
    (buttons[button]?.disabled ? buttons[2] : buttons[button] ?? addButton).focus();
  }

  function drawPanel({ where, list, svg }, states, old, at) {
    const { t, noise, best, ranks, scores, shares } = states[at];
    const comparable = old?.length === states.length;
    const after = noise ? "noise alone, no prediction yet" : `after step ${at} of ${states.length - 1}`;
    where.textContent = `t = ${t}: ${after}`;
    list.replaceChildren();
    for (const item of best) {
      const row = make("li", list);
      make("span", row, books[item].title, "ls-title");
      const was = comparable ? old[at].ranks[item] : ranks[item];
      const share = noise ? "" : `${Math.round(100 * shares[item])} %, `;
      const moved = was === ranks[item] ? "" : `${was > BEST ? "new, " : ""}was ${was}`;
      make("small", row, `${share}score ${scores[item].toFixed(1)}\n${moved}`, "ls-share");
      const track = make("div", row, undefined, "ls-track");
      const length = make("div", track);
      length.style.width = noise ? 0 : `${100 * shares[item]}%`;
      length.style.background = colours.prediction;
    }
    list.style.borderColor = noise ? colours.noise : colours.prediction;
    drawRanks(svg, states, at, books, colours);
  }

  // The last change, and what it did to the five of each model.
  function said(at) {
    if (!walks) return "The shelf is empty.";
    const lines = networks.map(({ settings }, n) => {
      const now = walks[n].at(-1).best, old = before?.[n].at(-1).best;
      const first = `${settings.model}: ${books[now[0]].title}`;
      if (!old) return `${first}.`;
      const fresh = now.filter((item) => !old.includes(item)).length, same = now.every((item, i) => item === old[i]);
      if (fresh) return `${first}; ${fresh} of the five ${fresh === 1 ? "is" : "are"} new.`;
      return `${first}; the same five as before${same ? "" : ", in another order"}.`;
    });
    const news = change ? `Last change: ${change}. “was” is the rank before it.`
      : `${plural(walks[0].length - 1, "step")} from noise to a book.`;
    return [news, ...lines].join("\n");
  }

  function update() {
    const state = model.get("state");
    const wanted = JSON.stringify([state.shelf, state.seed, state.steps, state.sampler]);
    if (wanted !== key) {
      if (!mine) [before, change] = [null, ""];
      key = wanted;
      walks = state.shelf.length ? networks.map((network) => walk(network, state.shelf, {
        steps: state.steps,
        seed: state.seed,
        transition: state.sampler === "own" ? network.settings.transition : state.sampler,
      })) : null;
      drawShelf();
      search();
    }
    steps.value = counts.indexOf(state.steps);
    sampler.value = samplers.indexOf(state.sampler) + 1;
    seed.value = state.seed;
    clock.input.max = state.steps;
    clock.input.disabled = !walks;
    clock.write(state.at, `${state.at} of ${state.steps}`);
    panels.style.visibility = walks ? "" : "hidden"; // nothing moves
    walks?.forEach((states, n) => drawPanel(shown[n], states, before?.[n], state.at));
    told.textContent = said(state.at);
  }

  model.on("change:state", update);
  update();
  onceLaidOut(root, () => { shelf.scrollTop = shelf.scrollHeight; });
  return () => model.off("change:state", update);
}

export default { render };
