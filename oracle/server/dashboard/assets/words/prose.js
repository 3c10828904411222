// Sentences of the service as the page writes them: code as code, one style of percent.

import { h } from "./dom.js";

export const prose = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part.replace(/(\d)%/g, "$1\u00a0%")));
