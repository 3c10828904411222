// One event stream for all tabs of a browser, where a page may hold no lock.

import { Hub } from "./stream.js";

const SWEEP_MS = 15_000;
const GONE_MS = 50_000; // a tab in sight says so every 15 s
const hubs = new Map();

function hubOf(address, key) {
  const name = JSON.stringify([address, key]);
  if (!hubs.has(name)) hubs.set(name, new Hub(address, key));
  return hubs.get(name);
}

addEventListener("connect", ({ ports: [port] }) => {
  const listener = (message) => port.postMessage(message);
  let hub = null;
  port.onmessage = ({ data }) => {
    if (data.join) {
      hub?.leave(listener);
      hub = hubOf(data.join.address, data.join.key);
      hub.join(listener, data.join.last);
    } else if (data.leave) {
      hub?.leave(listener);
      hub = null;
    } else hub?.heard(listener);
  };
});

setInterval(() => hubs.forEach((hub) => hub.sweep(Date.now() - GONE_MS)), SWEEP_MS);
