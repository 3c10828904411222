"""Roles of every named table: the one list that keeps test tables out of training.

Data only. A run's `dataset` is `<table>-<scaling>` (for example `wine-minmax`); pretraining
runs stand on tables of their own, named `pre-<index>`, drawn from `train` tables or synthetic.
The shipped oracles, docs/quality.md and the benches obey this list.
"""

from __future__ import annotations

from typing import Literal

Role = Literal["train", "calibrate", "test"]
Scaling = Literal["minmax", "standard"]

#: How a table's columns may be scaled before a run; the suffix of its dataset name.
SCALINGS: tuple[Scaling, ...] = ("minmax", "standard")

#: Prefix of the datasets of pretraining runs: each a table of its own.
PRETRAINING_PREFIX = "pre-"

#: Every named table's role. scikit-learn and statsmodels bundle or generate them all.
ROLES: dict[str, Role] = {
    # train: sub-tables of these, and synthetic tables, make the pretraining data.
    "digits": "train",
    "diabetes": "train",
    "fair": "train",
    "randhie": "train",
    "danish_data": "train",
    "elnino": "train",
    "heart": "train",
    "longley": "train",
    "scotland": "train",
    "strikes": "train",
    "co2": "train",
    "sunspots": "train",
    "copper": "train",
    "cpunish": "train",
    "stackloss": "train",
    "nile": "train",
    "interest_inflation": "train",
    "committee": "train",
    "china_smoking": "train",
    "china": "train",
    "blobs": "train",
    "classification": "train",
    "moons": "train",
    "circles": "train",
    "regression": "train",
    "friedman3": "train",
    # calibrate: whole tables for the conformal offsets; never trained on, never tested on.
    "iris": "calibrate",
    "anes96": "calibrate",
    "fertility": "calibrate",
    "cancer": "calibrate",
    "ccard": "calibrate",
    "s_curve": "calibrate",
    "linnerud": "calibrate",
    "spector": "calibrate",
    "friedman2": "calibrate",
    "flower": "calibrate",
    "gaussian_quantiles": "calibrate",
    # test: whole tables that nothing was fitted to.
    "wine": "test",
    "breast_cancer": "test",
    "star98": "test",
    "macrodata": "test",
    "modechoice": "test",
    "statecrime": "test",
    "engel": "test",
    "grunfeld": "test",
    "swiss_roll": "test",
    "friedman1": "test",
}


def table_of(dataset: str) -> str:
    """Strip the scaling from a dataset's name: `wine-minmax` -> `wine`."""
    table, _, scaling = dataset.rpartition("-")
    return table if scaling in SCALINGS else dataset


def role_of(dataset: str | None) -> Role | None:
    """Tell the role of a dataset by its name; None for a table that is not ours.

    >>> role_of("wine-minmax"), role_of("pre-17"), role_of("my_table")
    ('test', 'train', None)
    """
    if dataset is None:
        return None
    if dataset.startswith(PRETRAINING_PREFIX):
        return "train"
    return ROLES.get(table_of(dataset))


def tables(role: Role) -> tuple[str, ...]:
    """Names of the tables with `role`, in the order of the list."""
    return tuple(name for name, its in ROLES.items() if its == role)
