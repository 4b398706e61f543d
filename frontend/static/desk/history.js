// History needs only the focus of "/" from other pages; htmx does the rest.

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
