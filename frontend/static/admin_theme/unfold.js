// No error is folded away: every section of an admin form that holds one is open.
for (const error of document.querySelectorAll("#content details .errorlist")) {
  for (let at = error.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
}
