"""S6: processes on one population in PostgreSQL, killed -9: no acknowledged end is lost."""

from __future__ import annotations

from pathlib import Path

from fault.test_population_kill import acknowledged_by_killed
from reliability import Result
from serving import Postgres

from oracle.hook import Population


def killed_workers(folder: Path, n: int) -> Result:
    """Kill `n` workers of a search in the middle of their runs."""
    result = Result()
    with Postgres() as server:
        acknowledged = acknowledged_by_killed(server.url, 1, n)
        shared = Population(server.url)
        members = {member.run_id: member for member in shared.members("t")}
        for run_id in acknowledged:
            member = members.get(run_id)
            ended = member is not None and member.state == "finished"
            result.check(ended and member.final_mqe == 0.5, f"{run_id} was lost")
        numbers = [i for i, one in enumerate(shared.members("t")) if one.state == "finished"]
        result.check(len(numbers) >= len(acknowledged), "fewer ends than were acknowledged")
        shared.start("t", "afterwards")  # no lock is left behind
        result.check(shared.tally("t").live > 0, "a new run cannot be entered")
        shared.close()
    result.seen |= {"processes": n, "acknowledged ends": len(acknowledged)}
    return result
