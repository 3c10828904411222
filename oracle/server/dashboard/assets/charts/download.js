// Files of a run for other tools.

import { h } from "../words/dom.js";

export function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// One row a checkpoint, with the decision made at it.
export function csv({ run, history, track }) {
  const finals = ["final_mqe", "final_topographic_error", "final_dead_neuron_ratio"];
  const head = ["run_id", "epoch", "progress", "mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius", "action", "reason", "p_good", "support",
    ...[...finals, "quality"].flatMap((name) => track.levels.map((level) => `${name}_${level}`))];
  const decided = new Map(track.epochs.map((epoch, i) => [epoch, i]));
  const rows = history.epochs.map((epoch, i) => {
    const at = decided.get(epoch);
    const of = (column) => (at === undefined ? null : track[column][at]);
    return [run.run_id, epoch, run.total_epochs ? epoch / run.total_epochs : null, history.mqe[i], history.topographic_error[i], history.dead_neuron_ratio[i],
      history.learning_rate?.[i], history.radius?.[i], of("action"), of("reason"), of("p_good"), of("support"),
      ...[...finals, "quality"].flatMap((name) => of(name) ?? track.levels.map(() => null))];
  });
  return [head, ...rows].map((row) => row.map((v) => v ?? "").join(",")).join("\r\n") + "\r\n";
}
