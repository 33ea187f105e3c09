"use strict";
// Keeps the page of a run up to date. Everything that comes is put in place as text or as an attribute of a known name.
addEventListener("DOMContentLoaded", () => {
  const SVG = "http://www.w3.org/2000/svg";
  const TAGS = /^(header|section|article|footer|h[1-3]|p|ul|ol|li|dl|dt|dd|div|span|strong|b|code|figure|table|thead|tbody|tr|th|td|details|summary|svg|defs|g|use|path|rect|circle|text|title)$/;
  const NAMES = /^(class|id|scope|role|href|d|r|x|y|width|height|viewBox|preserveAspectRatio|transform|text-anchor|aria-[a-z]+|data-label)$/;
  const main = document.querySelector("main");
  let version = Number(main.dataset.version);

  const set = (element, name, value) => {
    if (!NAMES.test(name) || (name === "href" && value !== null && !value.startsWith("#"))) throw new Error(name);
    if (value === null) element.removeAttribute(name); else element.setAttribute(name, value);
  };
  const build = (node, parent) => {
    if (typeof node === "string") return document.createTextNode(node);
    const [tag, attributes, children] = node;
    if (!TAGS.test(tag)) throw new Error(tag);
    const element = document.createElementNS(tag === "svg" ? SVG : parent.namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) set(element, name, value);
    for (const child of children) element.appendChild(build(child, element));
    return element;
  };
  const change = ([path, what, value]) => {
    const target = path.reduce((element, place) => element.childNodes[place], main);
    if (what === "text") target.data = value;
    else if (what === "new") target.replaceWith(build(value, target.parentNode));
    else if (what === "add") target.appendChild(build(value, target));
    else if (what === "cut") while (target.childNodes.length > value) target.lastChild.remove();
    else if (what === "set") for (const [name, text] of Object.entries(value)) set(target, name, text);
  };

  const source = new EventSource(`${location.pathname}events?after=${version}`);
  source.onopen = () => document.documentElement.classList.remove("stale");
  source.onerror = () => document.documentElement.classList.add("stale");
  source.addEventListener("reload", () => { source.close(); location.reload(); });
  source.onmessage = (message) => {
    JSON.parse(message.data).forEach(change);
    version = Number(message.lastEventId);
    main.dataset.version = version;
  };
});
