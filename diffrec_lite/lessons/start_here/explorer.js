// Guess a reader's next book: nothing of the answer is shown before a candidate was chosen.

function render({ model, el }) {
  const shelves = model.get("shelves");
  const root = makeRoot(el, "One reader, and the next book", "drl-guess");
  const bar = make("div", root, undefined, "drl-bar");
  const reader = makeSelect(bar, "Reader", shelves.map((shelf) => shelf.reader), (i) => move({ reader: i }));
  const tally = make("span", bar);
  const columns = make("div", root, undefined, "gs-columns");
  const read = make("section", columns);
  const count = make("h4", read);
  const books = make("ol", read, undefined, "gs-list gs-read");
  books.tabIndex = 0; // so that the arrow keys scroll it
  const asked = make("section", columns);
  make("h4", asked, "Which book comes next? Click your guess");
  const options = make("div", asked, undefined, "gs-options");
  const told = make("div", root, "", "drl-readout gs-told");
  told.setAttribute("aria-live", "polite");
  const lists = make("div", root, undefined, "gs-lists");

  function move(part) {
    put(model, { state: { ...model.get("state"), ...part } });
  }

  const guessOf = (i) => model.get("state").guesses[i];

  // A book with its genre; `mark` stands before a book that is the true next one.
  function card(parent, book, isTruth) {
    const row = make("li", parent, undefined, isTruth ? "gs-truth" : "");
    make("span", row, (isTruth ? "✓ " : "") + book.title);
    if (book.genre) make("small", row, ` ${book.genre}`);
  }

  function score() {
    const answered = shelves.map((_, i) => i).filter((i) => guessOf(i) !== undefined);
    const right = answered.filter((i) => shelves[i].candidates[guessOf(i)].title === shelves[i].truth.title).length;
    return answered.length ? `You were right for ${right} of ${answered.length}.` : "";
  }

  function update() {
    const at = model.get("state").reader, shelf = shelves[at], guess = guessOf(at), answered = guess !== undefined;
    const truth = shelf.truth.title;
    reader.value = at;
    tally.textContent = score();
    count.textContent = `Reader ${shelf.reader}: all ${shelf.history.length} books, oldest first`;
    books.replaceChildren();
    books.setAttribute("aria-label", count.textContent);
    shelf.history.forEach((book) => card(books, book, false));
    books.scrollTop = books.scrollHeight;

    const focused = [...options.children].indexOf(document.activeElement);
    options.replaceChildren();
    shelf.candidates.forEach((book, i) => {
      const isTruth = answered && book.title === truth;
      const button = make("button", options, undefined, isTruth ? "gs-truth" : "");
      button.type = "button";
      make("span", button, (isTruth ? "✓ " : answered && i === guess ? "✗ " : "") + book.title);
      make("small", button, ` ${book.genre}`);
      button.setAttribute("aria-pressed", i === guess);
      button.setAttribute("aria-disabled", answered); // the first guess counts
      button.addEventListener("click", () => {
        if (!answered) move({ guesses: { ...model.get("state").guesses, [at]: i } });
      });
    });
    options.children[focused]?.focus();

    lists.replaceChildren();
    for (const { name, rank, top } of shelf.models) {
      const list = make("section", lists);
      make("h4", list, name);
      make("div", list, answered ? `puts it at rank ${rank}` : "answers after you", "gs-rank");
      const rows = make("ol", list, undefined, "gs-list gs-top");
      for (const book of top) {
        if (answered) card(rows, book, book.title === truth);
        else make("li", rows, "?");
      }
    }
    const ranks = shelf.models.map(({ name, rank }) => `${name} ${rank}`).join(", ");
    const verdict = answered && shelf.candidates[guess].title === truth ? "Right" : "Not this time";
    told.textContent = answered ? `${verdict}: the next one is ${truth}.\nIts rank among all books: ${ranks}.`
      : "Choose one of the six: your first guess counts. The models had all books to choose from.";
  }

  model.on("change:state", update);
  update();
  onceLaidOut(root, () => { books.scrollTop = books.scrollHeight; });
  return () => model.off("change:state", update);
}

export default { render };
