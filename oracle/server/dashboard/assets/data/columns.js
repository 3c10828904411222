// The runs of a population as the service tells them at once, by column, made runs again.

const FINALS = ["final_mqe", "final_topographic_error", "final_dead_neuron_ratio"];

// table: of v1/populations/NAME/table; gives run summaries, without `message` and `ending`, and with
// `settings`: all that is known of a run before it begins, by name.
export function unfold(table, weights = null) {
  const c = table.columns, names = Object.keys(table.settings);
  return Array.from({ length: table.runs }, (_, i) => {
    const final = c.final_mqe[i] === null ? null : {
      final_mqe: c.final_mqe[i], final_topographic_error: c.final_topographic_error[i], final_dead_neuron_ratio: c.final_dead_neuron_ratio[i],
      censored: c.censored[i], spread: c.spread[i],
    };
    const forecast = c.forecast_final_mqe[i] === null ? null : Object.fromEntries(FINALS.map((name) => [name, c[`forecast_${name}`][i]]));
    const settings = told(table.same);
    for (const name of names) if (table.settings[name][i] !== null) settings[name] = table.settings[name][i];
    const total = c.total_epochs[i], epoch = c.epoch[i];
    return {
      run_id: c.run_id[i], name: c.name[i], dataset: c.dataset[i], population: table.name, state: c.state[i], left: c.left[i],
      override: c.override[i], override_by: c.override_by[i], override_at: c.override_at[i], control: c.control[i], censored: final?.censored ?? false,
      n_checkpoints: c.n_checkpoints[i], epoch, total_epochs: total, progress: total ? Math.min(1, epoch / total) : null,
      mqe: c.mqe[i], topographic_error: c.topographic_error[i], dead_neuron_ratio: c.dead_neuron_ratio[i],
      action: c.action[i], reason: c.reason[i], message: null, p_good: c.p_good[i], support: c.support[i],
      quality: c.quality[i] && { scale: c.quality_scale[i], weights, values: c.quality[i] }, forecast, final,
      created_at: c.created_at[i], updated_at: c.updated_at[i], ended_at: c.ended_at[i],
      stops: c.stops[i], first_stop: c.first_stop[i], decided: c.decided[i], tags: c.tags[i], notes: c.notes[i], settings,
    };
  });
}

// Settings by the names that users gave them: an object that has these and no others, whatever they are called.
export const told = (...parts) => Object.assign(Object.create(null), ...parts);

// Heads of a file's columns: what it tells of every run, then settings, of which one that is called as an
// earlier head is told from it by its front.
export function heads(fixed, names) {
  const found = [...fixed];
  for (const name of names) {
    let head = name;
    while (found.includes(head)) head = `config.${head}`;
    found.push(head);
  }
  return found;
}

// Names of the settings that differ between runs, those that most runs have first.
export function differing(runs) {
  const seen = new Map();
  for (const { settings } of runs) {
    for (const [name, value] of Object.entries(settings ?? {})) {
      if (!seen.has(name)) seen.set(name, { n: 0, values: new Set() });
      const one = seen.get(name);
      one.n += 1;
      if (one.values.size < 2) one.values.add(value);
    }
  }
  return [...seen].filter(([, one]) => one.values.size > 1).sort((a, b) => b[1].n - a[1].n).map(([name]) => name);
}
