// What every explorer is drawn with. This file stands before an explorer's own: see `script` in explorer.py.

// "1 step", "2 steps".
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// A number of two digits behind the point, always with its sign, so that every state has the same width.
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

// What the learner changed, by name; a kernel, where there is one, hears of it.
function put(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  try {
    model.save_changes();
  } catch {
    // a kernel that has gone hears nothing
  }
}

// Do it as soon as the page has laid `node` out, at once or when it is first shown: before that it has no size.
function onceLaidOut(node, act) {
  const seen = new ResizeObserver(() => {
    if (!node.clientHeight) return;
    seen.disconnect();
    act();
  });
  seen.observe(node);
}

// An element of the page, at the end of `parent`.
function make(tag, parent, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  parent?.append(node);
  return node;
}

// An element of a drawing, at the end of `parent`.
function shape(tag, parent, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

// The frame of an explorer, with its name above it; JupyterLab must not take its arrow keys.
function makeRoot(el, title, className) {
  const root = make("div", el, undefined, `drl-explorer ${className}`);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", title);
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => event.stopPropagation());
  make("div", root, title, "drl-title");
  return root;
}

// A drop-down list; `change` is called with the index of the chosen text.
function makeSelect(bar, name, texts, change) {
  const select = make("select", make("label", bar, name, "drl-control"));
  select.setAttribute("aria-label", name);
  texts.forEach((text, i) => select.append(new Option(text, i)));
  select.addEventListener("change", () => change(Number(select.value)));
  return select;
}

// A slider over first … last and, beside it, the place where its value is written: `write(value, text)` sets both.
function makeSlider(bar, name, first, last, change) {
  const label = make("label", bar, name, "drl-control");
  const input = make("input", label);
  Object.assign(input, { type: "range", min: first, max: last, step: 1 });
  input.setAttribute("aria-label", name);
  const shown = make("span", label, "", "drl-value");
  input.addEventListener("input", () => change(Number(input.value)));
  const write = (value, text) => {
    input.value = value;
    shown.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  return { input, write };
}

// Lines for an equation and its numbers.
function makeEquation(parent, lines) {
  const box = make("div", parent, undefined, "drl-equation");
  return Array.from({ length: lines }, () => make("div", box));
}

// A text that changes and is read aloud, in a place high enough for each of `texts`: what is below never jumps.
function makePlace(parent, texts, className) {
  const lines = [...new Set(texts)].map((text) => text.split("\n"));
  const at = (k) => lines.reduce((longest, line) => ((line[k] ?? "").length > longest.length ? line[k] : longest), "");
  const longest = Array.from({ length: Math.max(...lines.map((line) => line.length)) }, (_, k) => at(k)).join("\n");
  const box = make("div", parent, undefined, "drl-place");
  make("div", box, longest, `${className}-longest`).setAttribute("aria-hidden", "true");
  const live = make("div", box, "", className);
  live.setAttribute("aria-live", "polite");
  return live;
}

// A question with buttons for its options. The answer is told when one of them has been clicked, and not before.
function askFirst(parent, model) {
  const { text, options, right, told } = model.get("ask");
  const box = make("fieldset", parent, undefined, "drl-ask");
  make("legend", box, "Predict first");
  make("div", box, text);
  const row = make("div", box, undefined, "drl-options");
  const answers = options.map((option, i) =>
    (i === right ? "✓ Yes. " : `✗ Not “${option}”, but “${options[right]}”. `) + told);
  const buttons = options.map((option, i) => {
    const button = make("button", row, option);
    button.type = "button";
    button.addEventListener("click", () => put(model, { guess: i }));
    return button;
  });
  const place = makePlace(box, answers, "drl-told");
  function reveal() {
    const guess = model.get("guess");
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === guess));
    place.textContent = guess < 0 ? "Click a guess: the answer shows here." : answers[guess];
  }
  model.on("change:guess", reveal);
  reveal();
  return () => model.off("change:guess", reveal);
}
