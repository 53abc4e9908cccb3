"""What can be seen of an entry for its reproducibility card: its image, how it ran, and what its card points at."""

from __future__ import annotations

from dataclasses import replace

from evaluator.contract.observed import Looked, Observed, Tried
from evaluator.contract.references import Image
from evaluator.contract.reproducibility import Card, Evidence
from evaluator.contract.submissions import Submission
from evaluator.contract.work import Finished, Hardware, Limits
from evaluator.integrity import licences
from evaluator.integrity.evidence import Lookup
from evaluator.running.hardware import cpu_model
from evaluator.running.ready import Ready
from evaluator.settings import Settings
from evaluator.store.results import Results


def of_image(card: Card, image: Image, ready: Ready, settings: Settings) -> Observed:
    """What an image holds of what a card says; nothing of it runs.

    Raises:
        EngineError: the engine does not answer.
    """
    wanted = {evidence.file for places in card.evidence.values() for evidence in places if evidence.file}
    if card.software and card.software.lock_file:
        wanted.add(card.software.lock_file)
    contents = ready.contents(wanted, largest=settings.max_image_gb * 1e9) if wanted else None
    return Observed(pulled=image.pull is not None, labels=ready.labels, contents=contents)


def of_run(done: Finished, limits: Limits, *, rows: int, audited: bool) -> Tried:
    """How an image did in its first run on public data."""
    return Tried(
        rows=rows,
        seconds=done.run.seconds,
        memory=done.run.peak_memory,
        flags=done.flags if audited else None,
        exact=done.exact,
        hardware=Hardware(cpu=cpu_model(), cpus=limits.cpus),
    )


def failed(seen: Observed, code: str) -> Observed:
    """The same, of an entry whose check failed: without an image, or in a run."""
    if seen.pulled is None:
        return replace(seen, lost=code if code.startswith("IMAGE_") else "")
    return replace(seen, tried=replace(seen.tried or Tried(), failure=code))


def of_elsewhere(
    entry: Submission, card: Card, results: Results, seen: Observed, lookup: Lookup, digest: str | None = None
) -> Observed:
    """With what a card points at outside of the image, and what is on record of the image or of archived predictions.

    Args:
        digest: of the image that was looked at.
        lookup: asks public addresses; where there is no network, what they have is unknown.
    """
    code, commit, license_file = card.open_code, None, None
    if code and code.claimed and code.repository and code.commit:
        commit = lookup.commit(code.repository, code.commit)
        if commit.found == "there":
            license_file = _license_file(code.repository, code.commit, lookup)
    found: dict[Evidence, Looked] = {}
    for places in card.evidence.values():
        for evidence in places:
            if not evidence.file and evidence not in found:
                found[evidence] = lookup.evidence(evidence)
    records = results.of(entry.id)
    digests = [str(record.image.digest).removeprefix("sha256:") for record in records if entry.archived]
    flags = dict.fromkeys(flag for record in records if digest == record.image.digest for flag in record.flags)
    seen = replace(seen, recorded=frozenset(digests), flags=tuple(flags))
    return replace(seen, commit=commit, license_file=license_file, evidence=found)


def _license_file(repository: str, commit: str, lookup: Lookup) -> tuple[str, Looked] | None:
    """The first of the usual licence files that is there, or of which nobody knows; None where none is."""
    for name in licences.FILES:
        looked = lookup.evidence(Evidence(repository=repository, commit=commit, path=name))
        if looked.found != "gone":
            return name, looked
    return None
