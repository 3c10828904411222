"""Which library a map is of: found by the attributes that only its objects have.

The module that reads such a map is loaded when one is met; no library is ever imported.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from oracle.forks import uncut

#: Attributes that tell a library's map -> the module that reads it.
ADAPTERS = {
    ("_learning_rate_decay_function", "_sigma_decay_function"): "oracle.integrations.minisom",
    ("get_decay_value", "start_batch_percent"): "oracle.integrations.nexussom",
    ("_decay_function", "_sigmaN", "_learning_rateN"): "oracle.integrations.xpysom",
    ("_n_columns", "_grid_type", "_map_type"): "oracle.integrations.libraries.somoclu",
    ("sigma_schedule", "lr_schedule", "pbc"): "oracle.integrations.libraries.torchsom",
    ("mapshape", "lattice", "finetune_train"): "oracle.integrations.libraries.intrasom",
    ("_neighborhood_radius_decay", "_cyclic"): "oracle.integrations.libraries.python_som",
    ("node_list", "net_height", "PBC"): "oracle.integrations.libraries.simpsom",
    ("n_iter_unsupervised", "init_mode_unsupervised"): "oracle.integrations.libraries.susi",
    ("initial_lr", "max_iter", "_find_bmu"): "oracle.integrations.libraries.sklearn_som",
    ("variation_neighbourhood", "use_decay"): "oracle.integrations.libraries.gema",
    ("init_nhr", "init_eta", "_compute_update"): "oracle.integrations.libraries.awesom",
    ("hex_coords", "decay_schedule", "_gdist"): "oracle.integrations.libraries.zsom",
    ("sigma_initial", "n_epochs", "_smooth"): "oracle.integrations.libraries.fastersom",
}


def adapter_of(som: Any) -> ModuleType | None:
    """Load the module that reads `som`; None where its library is none of them."""
    found = next((m for names, m in ADAPTERS.items() if all(hasattr(som, n) for n in names)), None)
    if found is None:
        return None
    with uncut():  # an import has locks, too
        return import_module(found)
