"""One image in the local engine, ready to run; and single runs of it, as a check makes them."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import docker
import docker.models.images

from evaluator.contract.observed import Contents
from evaluator.contract.references import Image, Reference
from evaluator.contract.sequences import BlindedInput
from evaluator.contract.work import Limits, Run
from evaluator.errors import EvaluatorError
from evaluator.running import containers, images, sandbox
from evaluator.running.contents import contents
from evaluator.running.covered import Covered, covered
from evaluator.running.engine import connect
from evaluator.running.sandbox import Device
from evaluator.running.scratch import Scratch
from evaluator.settings import Settings
from evaluator.text import printable

NO_DEVICE = Device()


@dataclass(frozen=True)
class Ready:
    """An image that was looked at and is fit to run.

    Attributes:
        scratch: for the inputs of its runs.
    """

    engine: docker.DockerClient
    image: docker.models.images.Image
    scratch: Scratch

    @property
    def size(self) -> int:
        """Bytes, unpacked."""
        return int(self.image.attrs["Size"])

    def run(
        self,
        given: BlindedInput,
        limits: Limits,
        *,
        task: str,
        device: Device = NO_DEVICE,
        stop: threading.Event | None = None,
    ) -> Run:
        """Run it once, offline, on an input; errors and the other arguments as in `sandbox.run`."""
        with self.scratch.input_folder(given.files) as folder:
            return sandbox.run(self.engine, self.image, folder, limits, task=task, device=device, stop=stop)

    @property
    def labels(self) -> dict[str, str]:
        """What the image is labelled with."""
        return dict((self.image.attrs.get("Config") or {}).get("Labels") or {})

    def contents(self, wanted: Collection[str], *, largest: float) -> Contents | str:
        """Its packages and these files of it; nothing of it runs; arguments as in `contents.contents`."""
        return contents(self.engine, self.image, wanted, largest=largest)

    def covered(self) -> list[Covered]:
        """Folders of the image whose content its runs do not see."""
        return covered(self.engine, self.image)


class Workbench:
    """This machine for single runs, one after the other.

    Raises:
        EngineError: on construction, where no engine answers.
    """

    def __init__(self, settings: Settings, scratch: Scratch) -> None:
        self._settings = settings
        self._scratch = scratch
        self._engine = connect()
        containers.reap(self._engine)

    def choose(self, reference: Reference, named: str | None, *, local_builds: bool) -> tuple[Image, str]:
        """The image to try, and where it was found.

        Args:
            named: take this image of the local engine.
            local_builds: take a local build of the same name, if there is one, before what the registry has.

        Raises:
            SubmissionError: there is no such image, or it is not allowed.
            EvaluatorError: the image named is not here, or a registry does not answer.
        """
        if named:
            return images.local_image(named, self._engine), f"local image {printable(named, 100)}"
        if not reference.local and local_builds:
            try:
                local = images.local_image(str(reference).removeprefix("docker.io/"), self._engine)
            except EvaluatorError:
                pass
            else:
                return local, "your local build (push it before you open the pull request)"
        found = images.resolve(reference, self._settings, self._engine)
        return found, "found" if reference.local else "in the registry"

    def ready(self, image: Image) -> Ready:
        """The image in the local engine, pulled if need be; errors as in `images.ensure`."""
        return Ready(self._engine, images.ensure(image, self._settings, self._engine), self._scratch)

    def within(self, limits: Limits) -> Limits:
        """Limits, cut to what this machine has."""
        info: dict[str, Any] = self._engine.info()
        return replace(limits, cpus=min(limits.cpus, info["NCPU"]), memory=min(limits.memory, info["MemTotal"]))
