// What is wider than its place can be moved by keys: it gets a place in the order of the tab key.
addEventListener("load", () => {
  const look = () => {
    for (const one of document.querySelectorAll(".bd-content table, .bd-content pre"))
      if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
  };
  new ResizeObserver(look).observe(document.body);
});
