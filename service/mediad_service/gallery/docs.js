// openapi.json as a page, without anything from elsewhere.

import { el } from "./dom.js";

const box = document.getElementById("routes");

function operation(method, path, one) {
  const parameters = one.parameters || [];
  const body = one.requestBody?.content?.["application/json"]?.schema;
  return el("article", {},
    el("h3", {}, el("b", {}, method.toUpperCase()), " ", el("code", {}, path)),
    el("p", {}, one.description || one.summary || ""),
    parameters.length ? el("dl", {}, parameters.map((each) => [
      el("dt", {}, el("code", {}, each.name), ` in ${each.in}${each.required ? "" : ", optional"}`),
      el("dd", {}, each.description || describe(each.schema)),
    ])) : null,
    body ? el("pre", {}, JSON.stringify(resolve(body), null, 1)) : null);
}

const describe = (schema = {}) => (schema.enum ? schema.enum.join(", ") : schema.type || "");

let schemas = {};

function resolve(schema) {
  const name = schema.$ref?.split("/").pop();
  const fields = (schemas[name] || schema).properties || {};
  return Object.fromEntries(Object.entries(fields).map(([field, one]) => [field,
    [one.type || (one.anyOf || []).map((each) => each.type).join(" or "), one.description].filter(Boolean).join(": ")]));
}

const api = await (await fetch("/openapi.json")).json();
schemas = api.components?.schemas || {};
const tags = new Map();
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, one] of Object.entries(methods)) {
    const tag = one.tags?.[0] || "other";
    tags.set(tag, [...(tags.get(tag) || []), operation(method, path, one)]);
  }
}
box.append(...[...tags].map(([tag, routes]) => el("section", {}, el("h2", {}, tag), routes)));
