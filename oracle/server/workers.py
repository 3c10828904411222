"""Worker processes: each ends with the one that started it, and takes along what it alone said."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import threading
from typing import Any

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

log = logging.getLogger("oracle.workers")

#: A worker that says nothing for so long is killed and replaced. A busy machine imports for 10 s.
PATIENCE_S = 60
#: The folder in which prometheus_client adds the workers' numbers up.
METRICS = "PROMETHEUS_MULTIPROC_DIR"


class Workers(Multiprocess):
    """uvicorn's supervisor, which also forgets what a worker that ended had open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pids: set[int | None] = set()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended."""
        for process in self.processes:
            # The worker has its own of this end. With ours open, one that dies while it is asked
            # whether it is alive would be waited for as long as one that is busy.
            process.child_conn.close()
        super().keep_subprocess_alive()
        now = {process.pid for process in self.processes}
        for pid in self._pids - now:
            if pid is not None:
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
        self._pids = now


class Parent:
    """The process that started this one; without it nobody could end or replace this one."""

    def __init__(self) -> None:
        self._process = multiprocessing.parent_process()
        self._is_gone = False
        if self._process is not None:
            threading.Thread(target=self._follow, name="oracle-parent", daemon=True).start()

    def _follow(self) -> None:
        assert self._process is not None  # noqa: S101 (the thread's reason)
        self._process.join()
        self._is_gone = True
        log.warning("the parent process is gone: this worker ends")
        os.kill(os.getpid(), signal.SIGTERM)

    def clear_up(self) -> None:
        """Remove, at the end, what the parent would have removed."""
        if self._is_gone and METRICS in os.environ:
            shutil.rmtree(os.environ[METRICS], ignore_errors=True)
