"""Old import paths of modules that moved into packages: they work for one version, and warn."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Package -> modules that stood beside it, "old:new" where the name changed too.
_BY_PACKAGE = {
    "history": "metrics context features dataset tables",
    "model": "graph onnx_file manifest artifact runtime",
    "forecast": "quantiles calibration quality:score_calibration support forecaster",
    "decision": "policy ranking hypervolume tally:wrong_stops decision_log:log",
    "hook": "judges:local remote circuit checkpoints population problems:warn_once fitness",
    "evaluation": "baselines score:summary measures:intervals recorded:recorded_runs replay rivals "
    "savings:risk_choice",
    "training": "architectures losses callbacks trainer:fit windows export finetune "
    "nonsense:corruptions support_fit publish recipe shipped card",
    "pictures": "plots:figures fan learning_curve",
    "reports": "report:page",
    "server": "settings",
}
MOVED = {
    f"oracle.{old}": f"oracle.{package}.{new or old}"
    for package, modules in _BY_PACKAGE.items()
    for old, _, new in (name.partition(":") for name in modules.split())
}


class OldPaths:
    """Finds a module under its old path; stands last in `sys.meta_path`."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Answer for the names of MOVED alone."""
        if name not in MOVED:
            return None
        from oracle.errors import OracleWarning

        warnings.warn(
            f"`{name}` is now `{MOVED[name]}`. The old path goes with the next version.",
            OracleWarning,
            stacklevel=2,
        )
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system: an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Take every name from where the module is now."""
        home = import_module(MOVED[module.__name__])
        module.__doc__ = home.__doc__
        module.__getattr__ = partial(getattr, home)  # type: ignore[method-assign]


def lead_old_paths() -> None:
    """Install the finder, once."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(OldPaths())
