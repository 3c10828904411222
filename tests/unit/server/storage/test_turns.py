"""Who writes after whom, and that events have their ids in the order of commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from made_up import StandIn
from serving import checkpoint
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError
from storing import write_now

from oracle.errors import RunConflict
from oracle.server.http.wire import CheckpointsRequest
from oracle.server.runs.lifecycle import Runs
from oracle.server.storage import new_events
from oracle.server.storage.database import connect, parse_url, undoable
from oracle.server.storage.schema import events
from oracle.server.storage.store import Store
from oracle.server.storage.turns import NO_RUN, Subject, wait_for_turn
from oracle.types import Policy

#: So long is a turn waited for that somebody else has.
SHORT_S = 0.1


@pytest.fixture
def engine(postgres: object) -> Iterator[Engine]:
    """An empty store on PostgreSQL, with connections for several who write."""
    url = postgres.database()  # type: ignore[attr-defined]
    store = Store(url, timeout_s=10, answer=StandIn().answer)
    store.migrate()
    runs = Runs(Policy(name="population"))
    piece = CheckpointsRequest.model_validate(checkpoint(1.0, population="p", total_epochs=10.0))
    write_now(store, lambda connection: runs.append(connection, "", "known", piece))
    engine = connect(parse_url(url), pool_size=3, timeout_s=SHORT_S, writes=True)
    yield engine
    engine.dispose()
    store.close()


def must_wait(engine: Engine, *subjects: Subject | None) -> bool:
    try:
        with engine.begin() as connection:
            wait_for_turn(connection, subjects)
    except OperationalError as error:
        return "lock timeout" in str(error)
    return False


@pytest.mark.postgres
def test_only_what_is_about_one_population_waits(engine: Engine) -> None:
    with engine.begin() as connection:
        wait_for_turn(connection, [Subject("", "a", "p"), Subject("", "b")])
        assert must_wait(engine, Subject("", "c", "p"))
        assert must_wait(engine, Subject("", "b"))
        assert must_wait(engine, Subject("", "c", "q"), Subject("", "c", "p"))
        assert not must_wait(engine, Subject("", "c", "q"), Subject("", "c"))
        assert not must_wait(engine, Subject("ann", "c", "p"), Subject("ann", "b"))
    assert not must_wait(engine, Subject("", "c", "p"))


@pytest.mark.postgres
def test_the_stored_population_of_a_run_counts(engine: Engine) -> None:
    with engine.begin() as connection:
        wait_for_turn(connection, [Subject("", "another", "p")])
        assert must_wait(engine, Subject("", "known"))
        assert must_wait(engine, Subject("", "known", "q"))


@pytest.mark.postgres
def test_what_is_about_nothing_in_particular_waits_for_all(engine: Engine) -> None:
    with engine.begin() as connection:
        wait_for_turn(connection, [Subject("", "a", "p")])
        assert must_wait(engine, None)
        assert not must_wait(engine, NO_RUN)
    with engine.begin() as connection:
        wait_for_turn(connection, [Subject("", "a", "p"), None])
        assert must_wait(engine, NO_RUN)
        assert must_wait(engine, None)
        assert must_wait(engine, Subject("", "b", "q"))


def row(run_id: str) -> dict[str, object]:
    return {"owner": "", "population": None, "run_id": run_id, "body": run_id}


def told(connection: Connection) -> list[tuple[str, str]]:
    found = connection.execute(select(events.c.run_id, events.c.body).order_by(events.c.id))
    return [(one.run_id, one.body) for one in found]


@pytest.mark.postgres
def test_the_ids_of_events_are_in_the_order_of_commits(engine: Engine) -> None:
    with engine.begin() as first:
        new_events.add(first, row("first to begin"))
        with engine.begin() as second:
            new_events.add(second, row("first to end"))
    with engine.begin() as connection:
        assert [name for name, _ in told(connection)][-2:] == ["first to end", "first to begin"]


def test_what_is_undone_tells_nothing(database_url: str) -> None:
    store = Store(database_url, timeout_s=10)

    def work(connection: Connection) -> None:
        new_events.add(connection, row("kept"))
        with suppress(RunConflict), undoable(connection):
            new_events.add(connection, row("undone"))
            raise RunConflict("no")
        new_events.add(connection, row("deleted"))
        new_events.rewrite(connection, "", "deleted", "said")
        new_events.rewrite(connection, "ann", "kept", "said")

    write_now(store, work)
    assert store.read_now(told) == [("kept", "kept"), ("deleted", "said")]
    with pytest.raises(ZeroDivisionError):
        write_now(store, lambda connection: new_events.add(connection, row("lost")) or 1 / 0)
    write_now(store, lambda connection: None)
    assert len(store.read_now(told)) == 2
    store.close()
