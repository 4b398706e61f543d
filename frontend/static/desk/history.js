// History needs only the focus of "/" from other pages; htmx does the rest.

import { localTimes } from "./format.js";

const lines = document.getElementById("lines");
localTimes(lines);
lines.addEventListener("htmx:afterSwap", () => localTimes(lines));

const search = document.getElementById("q");
if (new URLSearchParams(location.search).has("focus")) {
  search.focus();
  history.replaceState(null, "", location.pathname);
}
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  search.focus();
});
