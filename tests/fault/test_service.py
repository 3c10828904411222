"""The reliability checks of the service in short; `make fuzz`, `make fault`, `make soak` run long.

Numbers are small here, so that every change runs them all; docs/reliability.md has the long ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.bodies import fuzz_bodies
from fuzz.names import fuzz_names
from fuzz.schema import fuzz_schema
from serving import postgres_binaries
from soak.cycles import cycles
from soak.overload import overload
from soak.sizes import sizes
from soak.slow import slow_clients
from soak.swap import swap_models
from soak.wrong_keys import wrong_keys
from soak.wrong_stops import FEW, wrong_stops

from fault.bad_models import bad_models
from fault.full_disk import full_disk
from fault.kill_server import kill_postgres, kill_sqlite


def test_t1_mutated_bodies(tmp_path: Path) -> None:
    fuzz_bodies(tmp_path, 50_000).assert_ok()


def test_t2_the_service_keeps_to_its_own_description(tmp_path: Path) -> None:
    fuzz_schema(tmp_path, 60).assert_ok()


def test_t3_kill_the_server(tmp_path: Path) -> None:
    kill_sqlite(tmp_path, 20).assert_ok()


@pytest.mark.postgres
@pytest.mark.skipif(
    postgres_binaries() is None,
    reason="POSTGRESQL IS NOT INSTALLED, so the store on it is NOT tested: "
    "apt-get install postgresql",
)
def test_t3_kill_the_server_on_postgresql(tmp_path: Path) -> None:
    kill_postgres(tmp_path, 20).assert_ok()


def test_t5_full_disk(tmp_path: Path) -> None:
    full_disk(tmp_path, 60).assert_ok()


def test_t7_damaged_models(tmp_path: Path) -> None:
    bad_models(tmp_path, 2_000).assert_ok()


def test_t9_models_exchanged_under_load(tmp_path: Path) -> None:
    swap_models(tmp_path, 20).assert_ok()


def test_t10_overload(tmp_path: Path) -> None:
    overload(tmp_path, 20).assert_ok()


def test_t11_slow_clients(tmp_path: Path) -> None:
    slow_clients(tmp_path, 300)  # far more than may be in work at once.assert_ok()


def test_t12_sizes(tmp_path: Path) -> None:
    sizes(tmp_path, 1).assert_ok()


def test_t15_the_service_stops_what_the_replay_stops(tmp_path: Path) -> None:
    wrong_stops(tmp_path, 45, FEW).assert_ok()


def test_t17_hostile_names(tmp_path: Path) -> None:
    fuzz_names(tmp_path, 5_000).assert_ok()


def test_t18_wrong_keys(tmp_path: Path) -> None:
    wrong_keys(tmp_path, 10_000).assert_ok()


def test_t19_nothing_stays_behind(tmp_path: Path) -> None:
    cycles(tmp_path, 50).assert_ok()
