"""S2f: the database fails and its standby takes over; the services find it, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import psycopg
from fault.kills.kill_server import look
from reliability import Result
from serving import START_DEADLINE_S, Postgres, Server, until

from scale.replicas import Load


class Standby(Postgres):
    """A copy of another server, kept up to date by what that writes."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__()
        self._primary = primary

    def create(self) -> None:
        """Copy the other server as it is now."""
        port = str(self._primary.port)
        self._call("pg_basebackup", "-D", "db", "-R", "-h", "127.0.0.1", "-p", port, "-U", "oracle")

    def take_over(self) -> None:
        """Become the server that writes."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Nobody follows this one.
            connection.execute("SELECT pg_promote()")
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            connection.execute("SELECT pg_reload_conf()")


def failover(folder: Path, n: int) -> Result:
    """Have the standby take over `n` times, each with servers of its own."""
    result = Result()
    acknowledged = 0
    for i in range(n):
        acknowledged += _one(folder / str(i), result)
    result.seen |= {"takeovers": n, "acknowledged": f"{acknowledged:,}"}
    return result


def _one(folder: Path, result: Result) -> int:
    with Postgres() as primary, Standby(primary) as standby:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            # What is acknowledged is then at the standby, too.
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in (primary, standby))
        url = f"postgresql://oracle@/postgres?{hosts}&target_session_attrs=read-write"
        with Server(folder, database_url=url) as server:
            load = Load(server.port)
            try:
                load.go_on(result, "before")
                primary.stop()
                until(lambda: load.refused, START_DEADLINE_S, "a request without a database")
                standby.take_over()
                load.go_on(result, "after the takeover", refusals=True)
            finally:
                acknowledged = load.stop()
        stored = look(standby.url.replace("://", "+psycopg://"), result, "in the end")
        for one in acknowledged:
            result.check(one in stored, f"lost: {one}")
    return len(acknowledged)
