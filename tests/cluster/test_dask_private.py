"""What is taken of Dask beyond its public interface is still there, in the version that is installed."""

from __future__ import annotations

import inspect

import distributed
from distributed import Client, Scheduler
from distributed.batched import BatchedSend


def test_what_is_private_is_there() -> None:
    version = distributed.__version__
    assert "callback_timeout" in inspect.signature(Client.sync).parameters, version
    assert "name" in inspect.signature(Client._unregister_worker_plugin).parameters, version
    assert "interval" in inspect.signature(BatchedSend).parameters, version
    assert "_ongoing_background_tasks" in inspect.getsource(Scheduler) or hasattr(
        distributed.core.Server, "_ongoing_background_tasks"
    ), version
