"""Our own reference models on a machine without an engine: as plain processes, and nothing else that way."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

from evaluator.contract import references
from evaluator.contract.references import Image
from evaluator.contract.sequences import BlindedInput, Sequences
from evaluator.contract.submissions import Submission
from evaluator.contract.work import GIB, Finished, Hardware, Run, Work
from evaluator.errors import EvaluatorError
from evaluator.running import surroundings
from evaluator.running.audit import run_and_audit
from evaluator.running.hardware import cpu_model
from evaluator.running.scratch import Scratch


class UnsandboxedRuns:
    """Runs reference models, which are our own code, as plain processes; refuses everything else.

    Args:
        contexts: folder with one build context per reference image, as `apb-zoo package --context` lays them out.
    """

    memory = 64 * GIB  # whatever entries ask for: these models are small
    gpus: tuple[str, ...] = ()

    def __init__(self, contexts: Path, scratch: Scratch) -> None:
        self.contexts = contexts
        self.scratch = scratch
        self.stop = threading.Event()

    def require_fit(self) -> None:
        """Plain processes run nothing of strangers' at all."""

    def reap(self, *, mine: bool = False) -> int:  # noqa: ARG002
        """Nothing outlives this process's children."""
        return 0

    def clear(self) -> int:
        """There are no images."""
        return 0

    def resolve(self, submission: Submission, *, lock: bool = True) -> Image:  # noqa: ARG002 - files need no lock
        """The reference model that a submission names; its digest is a hash of its files.

        Raises:
            EvaluatorError: it is not a reference model.
        """
        reference = references.parse(submission.docker_image)
        folder = self._folder(submission.docker_image)
        config = folder / "config.yaml"
        version = yaml.safe_load(config.read_text()).get("version") if reference.local and config.is_file() else None
        if version is None or str(version) != reference.tag:
            raise EvaluatorError(
                f"{submission.id} is not a reference model, and nothing else is run outside the sandbox.",
                "Run it on a machine with a Docker engine.",
            )
        digest = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        return Image(str(reference), f"sha256:{digest.hexdigest()}", None)

    def _folder(self, image: str) -> Path:
        return self.contexts / references.parse(image).repository.rpartition("/")[2]

    def run(self, work: Work, sequences: Sequences) -> Finished:
        """Run a reference model's predict.py on the container contract, without the container."""
        script = (self._folder(work.image.reference) / "predict.py").resolve()

        def once(given: BlindedInput) -> Run:
            with self.scratch.input_folder(given.files) as data, tempfile.TemporaryDirectory() as home:
                output = Path(home) / "predictions.csv"
                environment = {
                    **surroundings.environment(sequences.task, os.cpu_count() or 1),
                    "INPUT": str(data / "sequences.csv"),
                    "OUTPUT": str(output),
                    "HOME": home,
                    "PATH": os.defpath,
                }
                begun = time.monotonic()
                try:
                    done = subprocess.run(
                        [sys.executable, "-I", script],
                        cwd=home,
                        env=environment,
                        timeout=work.limits.seconds,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        check=True,
                    )
                    return Run(output.read_bytes(), None, time.monotonic() - begun, None, done.stdout)
                except (OSError, subprocess.SubprocessError) as error:
                    raise EvaluatorError(f"The reference model {script} failed: {error}", "Mend the model.") from error

        return run_and_audit(sequences, once, hardware=Hardware(cpu=cpu_model(), cpus=os.cpu_count()))

    def alive(self) -> bool:
        """There is nothing that could die."""
        return True
