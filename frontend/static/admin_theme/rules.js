// A rule shows what its “Then” asks for, and no condition that is set is folded away. (Errors: unfold.js.)
const ASKED = {
  agent: ["agent"],
  person: ["extension", "ring_s", "overflow_agent"],
  queue: ["queue"],
  forward: ["forward_trunk", "forward_number", "ring_s", "overflow_agent"],
  refuse: ["refuse_status", "retry_after_s"],
};
const CONDITIONS = ["trunk", "header", "zone", "agent_calls_below", "node_calls_below"];
const FIELDS = [...new Set(Object.values(ASKED).flat())];

function show(rule) {
  const target = rule.querySelector("select[name$=-target]").value;
  for (const field of FIELDS) {
    for (const box of rule.querySelectorAll(`.fieldBox.field-${field}`)) {
      box.parentElement.classList.toggle("hidden", !ASKED[target].includes(field));
    }
  }
  for (const row of rule.querySelectorAll("details .form-row")) {
    const boxes = [...row.querySelectorAll(".fieldBox")];
    const none = boxes.length > 0 && boxes.every((box) => box.parentElement.classList.contains("hidden"));
    row.classList.toggle("hidden", none);
  }
  const others = rule.querySelector(".field-extension").closest("fieldset");
  others.classList.toggle("hidden", target === "agent");
  if (target !== "agent") others.querySelector("details").open = true;
}

function unfold(rule) {
  for (const folded of rule.querySelectorAll("details")) {
    if (CONDITIONS.some((name) => folded.querySelector(`[name$="-${name}"]`)?.value)) folded.open = true;
  }
}

function begin(rule) {
  if (!rule.querySelector("select[name$=-target]")) return;
  show(rule);
  unfold(rule);
}

for (const rule of document.querySelectorAll("#routes-group .inline-related")) begin(rule);
document.addEventListener("formset:added", (event) => {
  const orders = document.querySelectorAll("#routes-group .inline-related:not(.empty-form) [name$=-position]");
  const position = event.target.querySelector("[name$=-position]");
  if (position) position.value = Math.max(...[...orders].filter((o) => o !== position).map((o) => +o.value), 0) + 1;
  begin(event.target);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("#routes-group select[name$=-target]")) {
    show(event.target.closest(".inline-related"));
  }
});
