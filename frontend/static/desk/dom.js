// Building blocks of pages. Text only ever enters by textContent: what callers say is never markup.

const SVG = "http://www.w3.org/2000/svg";
const sprite = document.documentElement.dataset.icons || "/static/desk/icons.svg";

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  return fill(node, props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `${sprite}#${name}` }));
}

// Writes only what differs: a row that did not change costs no layout.
export function setText(node, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function pageData() {
  return JSON.parse(document.getElementById("page-data").textContent);
}

export function toast(words) {
  const box = document.querySelector(".toasts") || document.body.appendChild(el("div", { class: "toasts", role: "status" }));
  const note = box.appendChild(el("div", { class: "toast", text: words }));
  setTimeout(() => note.remove(), 5000);
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
