// Books as entries that can be pointed at: the cards of the shelf, the rows of a list. What is pointed at, in an entry
// or in a plane, lights up everywhere at once: everything that shows a book carries its number in `data-item`.

// "The Giant's Spell (Wardens of Thistlemoor 1)" as its title and its series.
function titleParts(title) {
  const found = title.match(/^(.+) \((.+)\)$/);
  return found ? [found[1], found[2]] : [title, ""];
}

function makeEntry(parent) {
  const button = make("button", parent, undefined, "drl-entry");
  button.type = "button";
  return button;
}

// `note` stands above the title: "3", "9, last", "★ next".
function writeEntry(button, item, { items, genres }, note = "") {
  const [title, series] = titleParts(items.title[item]);
  const genre = genres[items.genre[item]];
  button.dataset.item = item;
  button.replaceChildren();
  if (note) make("span", button, [note, genre].filter(Boolean).join(" · "), "drl-note");
  make("span", button, title, "drl-book-title");
  make("span", button, " " + series, "drl-series");
}

// The books that were read, oldest first, the last one marked, and beside them the true next one.
class Shelf {
  constructor(parent) {
    const row = make("div", parent, undefined, "drl-shelf");
    this.read = make("ol", row, undefined, "drl-read");
    this.read.setAttribute("aria-label", "Books read, in order");
    this.next = makeEntry(make("div", row, undefined, "drl-next"));
    this.drawn = null;
  }

  show(source, reader) {
    if (this.drawn === reader) return;
    this.drawn = reader;
    const { history, target } = source.readers[reader];
    this.read.replaceChildren();
    history.forEach((item, i) => {
      const last = i === history.length - 1;
      const entry = makeEntry(make("li", this.read, undefined, last ? "drl-last" : ""));
      writeEntry(entry, item, source, last ? `${i + 1}, last` : String(i + 1));
    });
    writeEntry(this.next, target, source, "★ next");
    this.scrollToLast();
  }

  // The last books say most. Also to be called when the page is laid out: before that there is nothing to scroll.
  scrollToLast() {
    this.read.scrollLeft = this.read.scrollWidth;
  }
}

// Lights the book that the pointer or the focus is on. A click or a tap keeps it lit until the next one.
function lightBooks(root, light) {
  let kept = 0;
  const of = (event) => Number(event.target.closest?.("[data-item]")?.dataset.item ?? 0);
  for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, (event) => light(of(event) || kept));
  for (const kind of ["pointerleave", "focusout"]) root.addEventListener(kind, () => light(kept));
  root.addEventListener("click", (event) => {
    const item = of(event);
    if (!item) return;
    kept = item === kept ? 0 : item;
    light(kept);
  });
}
