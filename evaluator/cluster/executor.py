"""Runs tasks on the workers of a Dask cluster: places them, fetches what came of them, and notices who is gone."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import distributed
from distributed import Client, Scheduler
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin
from distributed.scheduler import KilledWorker

from evaluator.cluster import dask_private
from evaluator.errors import EvaluatorError
from evaluator.rounds.executors import HasNeeds, LostError, Place

PLUGIN = "apb"
"""By which a round's equipment is known to every worker."""
LOOK_EVERY = 0.5
ASK_SECONDS, ANSWER_SECONDS = 2.0, 45.0
STOP_SECONDS = 15.0
FETCHES = 16
"""Outcomes fetched at a time; Dask itself would fetch one after the other."""
UNREACHABLE = (OSError, TimeoutError, CommClosedError, asyncio.TimeoutError)

T = TypeVar("T", bound=HasNeeds)
Order = TypeVar("Order")
Outcome = TypeVar("Outcome")


class Guard(SchedulerPlugin):
    """Lives in the scheduler, and takes the equipment back where its round dies without a word."""

    name = "apb-guard"

    def __init__(self, client: str) -> None:
        self._client = client

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """A client has gone."""
        if client == self._client and PLUGIN in scheduler.worker_plugins:

            async def take_back() -> None:
                await scheduler.unregister_worker_plugin(None, PLUGIN)

            dask_private.soon(scheduler, take_back)


@dataclass(eq=False)
class _Flight(Generic[Outcome]):
    address: str
    remote: distributed.Future[Outcome] | None
    outcome: Future[Outcome]
    missing: bool = False


class DaskExecutor(Generic[T, Order, Outcome]):
    """One task at a time on each worker.

    Every task is bound to one worker: Dask would queue it behind others, and count their deaths as its own. What has to
    be run again is decided by the loop.

    Args:
        client: of a cluster whose workers are made by `apb worker`.
        perform: done by a worker with what `order` makes of a task; importable there.
        equipment: given to every worker first, and taken away at the end.
        prospects: places that are still to come, beside those that have been there.
        patience: seconds to wait for a worker that was there, or for the first one.
        remedy: what to do where none comes.

    Raises:
        EvaluatorError: on construction, where a worker cannot be equipped.
    """

    heartbeat: float | None = LOOK_EVERY

    def __init__(
        self,
        client: Client,
        perform: Callable[[Order], Outcome],
        order: Callable[[T], Order],
        *,
        equipment: WorkerPlugin | None = None,
        prospects: Callable[[], Collection[Place]] = tuple,
        patience: float = 60.0,
        remedy: str = "Start one with apb worker, and look at its log",
    ) -> None:
        self._client = client
        self._perform = perform
        self._order = order
        self._prospects = prospects
        self._patience = patience
        self._remedy = remedy
        self._equipment = equipment
        self._flights: dict[str, _Flight[Outcome]] = {}
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._useless: set[str] = set()
        self._places: dict[str, Place] = {}
        self._known: dict[str, tuple[float, Place]] = {}
        self._looked = -math.inf
        self._seen = time.monotonic()
        self._cut = False
        self._prefix = uuid.uuid4().hex[:8]
        self._count = 0
        self._fetchers = ThreadPoolExecutor(max_workers=FETCHES, thread_name_prefix="apb-fetch")
        dask_private.send_at_once(client)
        if equipment is not None:
            try:
                client.register_plugin(Guard(client.id))
                client.register_plugin(equipment)
            except Exception as error:
                self.stop()
                raise EvaluatorError(
                    f"The workers could not be equipped: {type(error).__name__}: {error}.",
                    "See that scheduler and workers have this very version of the package, and start the round again.",
                ) from error

    def places(self) -> Mapping[str, Place]:
        """Every worker that is there, by name.

        Raises:
            EvaluatorError: the scheduler has gone, or there has been no worker for too long.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY:
            return self._places
        workers = self._workers()
        self._looked = time.monotonic()
        self._names = {str(w["name"]): address for address, w in workers.items()}
        self._places = {name: _place(name, workers[a]["resources"]) for name, a in self._names.items()}
        self._known.update({name: (now, place) for name, place in self._places.items()})
        for name, flight in list(self._flights.items()):
            if self._names.get(name) == flight.address:
                flight.missing = False
            elif flight.missing:  # twice: what it has done may be on its way
                self._settle(name, flight, LostError("it has gone"))
            else:
                flight.missing = True
        if self._places:
            self._seen = now
        elif now - self._seen > self._patience:
            raise EvaluatorError(
                f"There has been no worker for {self._patience:g} s.",
                f"{self._remedy}; then run apb evaluate again: it goes on from here.",
            )
        return self._places

    def prospects(self) -> Collection[Place]:
        """Workers that are still to come; one that has just gone may be on its way back."""
        oldest = time.monotonic() - self._patience
        return [*self._prospects(), *(place for seen, place in self._known.values() if seen >= oldest)]

    def _workers(self) -> dict[str, Any]:
        try:
            identity = self._identity()
        except UNREACHABLE as error:
            raise EvaluatorError(
                f"The scheduler does not answer: {error}.",
                "Start it again with its workers, and run apb evaluate again: it goes on from here.",
            ) from error
        return {
            address: worker
            for address, worker in identity["workers"].items()
            if worker.get("status") == "running" and address not in self._useless and "MEMORY" in worker["resources"]
        }

    def _identity(self) -> dict[str, Any]:
        """The scheduler's own account; not `scheduler_info`, which keeps an old answer where there is no new one."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            if self._cut or self._client.status != "running" or self._client.scheduler is None:
                raise OSError("the connection was cut")
            try:
                found: dict[str, Any] = self._client.sync(
                    self._client.scheduler.identity, n_workers=-1, callback_timeout=ASK_SECONDS
                )
            except TimeoutError:  # a link that is down for a while, unless the connection is seen to be cut
                if time.monotonic() > deadline:
                    raise
            else:
                return found

    def submit(self, task: T, place: str) -> Future[Outcome]:
        """Begin a task on a worker."""
        address = self._names.get(place)
        flight: _Flight[Outcome] = _Flight(address or "", None, Future())
        if address is None:  # gone since the loop has looked
            flight.outcome.set_exception(LostError("it has gone"))
            return flight.outcome
        self._count += 1
        flight.remote = self._client.submit(
            self._perform,
            self._order(task),
            key=f"{self._prefix}-{self._count}",
            workers=[address],
            retries=0,
            allow_other_workers=False,
            pure=False,
        )
        self._flights[place] = flight
        flight.remote.add_done_callback(lambda _: self._fetchers.submit(self._landed, place, flight))
        return flight.outcome

    def _landed(self, place: str, flight: _Flight[Outcome]) -> None:
        """Fetch an outcome at once: as long as only its worker has it, it can still be lost."""
        assert flight.remote is not None
        try:
            self._settle(place, flight, flight.remote.result(timeout=STOP_SECONDS))
        except LostError as error:
            self._useless.add(flight.address)
            self._looked = -math.inf
            self._settle(place, flight, error)
        except (KilledWorker, FutureCancelledError, TimeoutError) as error:
            if self._client.status != "running":  # it is the scheduler that has gone, as `places` will tell
                self._cut = True
            else:
                self._settle(place, flight, LostError(f"{type(error).__name__}: {error}"[:300]))
        except Exception as error:  # noqa: BLE001 - it is the task's, and is handed over as such
            self._settle(place, flight, error)

    def _settle(self, place: str, flight: _Flight[Outcome], outcome: Outcome | Exception) -> None:
        """The first word on a task counts; what comes later is thrown away."""
        with self._lock:
            if self._flights.get(place) is flight:
                del self._flights[place]
        with suppress(InvalidStateError):
            if isinstance(outcome, Exception):
                flight.outcome.set_exception(outcome)
            else:
                flight.outcome.set_result(outcome)
        if flight.remote is not None:
            flight.remote.release()

    def dismiss(self, place: str) -> None:
        """Let a worker go whose time is nearly over."""
        if (address := self._names.get(place)) is not None:
            self._useless.add(address)
            self._looked = -math.inf
            self._client.retire_workers([address], close_workers=True)

    def stop(self) -> None:
        """End every run, and take back what the workers were equipped with."""
        for place, flight in list(self._flights.items()):
            self._settle(place, flight, LostError("the round was stopped"))
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        if self._equipment is None or self._cut or self._client.status != "running":
            return
        self._equipment = None
        with suppress(Exception):  # whoever is gone cannot be told
            dask_private.take_back_plugin(self._client, PLUGIN, STOP_SECONDS)


def _place(name: str, resources: Mapping[str, float]) -> Place:
    return Place(
        name.partition(":")[0],
        int(resources["MEMORY"]),
        int(resources.get("GPU", 0)),
        resources.get("UNTIL", math.inf),
    )


def quiet() -> None:
    """Dask tells at length of every lost connection; the loop tells what it means."""
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.scheduler", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
