// What is wider than the page can be moved by keys: it gets a place in the order of the tab key.
addEventListener("load", () => {
  for (const wide of document.querySelectorAll(".bd-content table, .bd-content pre"))
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
});
