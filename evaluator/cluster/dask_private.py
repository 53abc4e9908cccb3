"""What Dask does not offer publicly: each may move with one of its releases, so it stands here and is tested by itself.

`tests/cluster/test_dask_private.py` tells when one of them has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from distributed import Client, Scheduler


def soon(scheduler: Scheduler, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have a scheduler do something when it has time; it waits for that when it is closed."""
    scheduler._ongoing_background_tasks.call_soon(task)


def take_back_plugin(client: Client, name: str, seconds: float) -> None:
    """`Client.unregister_worker_plugin` with a time limit, which the public method does not have."""
    client.sync(client._unregister_worker_plugin, name=name, callback_timeout=seconds)


def send_at_once(client: Client) -> None:
    """Dask collects messages for 10 ms; where there is hardly one to wait for, that is time lost."""
    if client.scheduler_comm is not None:
        client.scheduler_comm.interval = 0.001
