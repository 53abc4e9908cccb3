"""A reproducibility card held against what was seen of its entry: verified, declared, absent or contradicted.

Only what the benchmark has seen for itself is verified. What nobody could look into stays declared. What was seen to be
otherwise is contradicted, which is worse than to have said nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from evaluator.contract.observed import (
    MAX_DETAIL,
    NOTHING_SEEN,
    TITLES,
    UNSEEN,
    Contents,
    Found,
    Held,
    Looked,
    Observed,
    Outcome,
)
from evaluator.contract.reproducibility import Card, Data, Evidence, Predictions, Software, Stated
from evaluator.contract.submissions import Submission
from evaluator.contract.tracks import Track, names
from evaluator.contract.work import NOT_DETERMINISTIC
from evaluator.integrity import locks
from evaluator.integrity.contamination import known_sets, trained_on
from evaluator.integrity.open_code import FORK, open_code
from evaluator.text import printable

CARD_VERSION = "2"
"""Changes whenever an outcome could come out otherwise; cards are then held anew."""
WORST: tuple[Outcome, ...] = ("contradicted", "declared", "verified")

S = TypeVar("S", bound=Stated)


def held(entry: Submission, tracks: Iterable[Track], seen: Observed = NOTHING_SEEN) -> dict[str, Held]:
    """Every variable of an entry's card; empty where it has none.

    Args:
        tracks: every track of the benchmark.
    """
    card = entry.card
    if card is None:
        return {}
    entered = [t for t in tracks if t.purpose == "benchmark" and names(entry, t)]
    found = {
        "research_type": _word(card.research_type),
        "affiliation": _word(card.affiliation),
        "pseudocode": _of(card.pseudocode, lambda one: _told(one, seen)),
        "open_code": _of(card.open_code, lambda one: open_code(one, entry, seen)),
        "open_data": _of(card.open_data, lambda one: _data(one, entry, seen)),
        "splits": _of(card.splits, lambda one: _told(one, seen)),
        "hardware": _of(card.hardware, lambda one: _told(one, seen)),
        "software": _of(card.software, lambda one: _software(one, seen)),
        "experiment": _of(card.experiment, lambda one: _told(one, seen)),
        "weights": _of(card.weights, lambda one: _weights(one, seen)),
        "determinism": _sum(_determinism(card, seen)),
        "test_exposure": _sum(_exposure(card, entry, entered)),
    }
    if entry.archived:
        found["predictions"] = _of(card.predictions, lambda one: _predictions(one, seen))
    else:
        found |= {"image": _image(seen), "inference": _inference(seen)}
    return {name: found[name] for name in TITLES if name in found}


def _held(outcome: Outcome, *told: str) -> Held:
    return Held(outcome=outcome, detail=printable("; ".join(filter(None, told)), MAX_DETAIL - 1)[:MAX_DETAIL])


def _word(said: str | None) -> Held:
    return _held("declared", said) if said else _held("absent")


def _sum(found: Found) -> Held:
    """The worst of what was found, and what it was; nothing found is nothing said."""
    all_of_it = list(found)
    worst = next((outcome for outcome in WORST if outcome in {o for o, _ in all_of_it}), None)
    if worst is None:
        return _held("absent")
    return _held(worst, *(told for outcome, told in all_of_it if worst in (outcome, "declared")))


def _of(stated: S | None, look: Callable[[S], Found]) -> Held:
    """What becomes of a variable with a status; only where something is claimed there is anything to look into."""
    if stated is None:
        return _held("absent")
    if not stated.claimed:
        return _held("not_applicable" if stated.status == "not_applicable" else "absent", stated.reason or "")
    made = _sum(look(stated))
    partly = f"in part: {stated.reason}" if stated.status == "partial" else ""
    return _held("declared" if made.outcome == "absent" else made.outcome, made.detail, partly)


def _looked(evidence: Evidence, seen: Observed) -> Looked:
    """What came of looking for a piece of evidence; words that it quotes belong to it."""
    if not evidence.file:
        return seen.evidence.get(evidence, UNSEEN)
    if not isinstance(seen.contents, Contents):
        return Looked("unknown", seen.contents) if seen.contents else UNSEEN
    file = seen.contents.files.get(evidence.file)
    if file is None:
        unread = seen.contents.unread.get(evidence.file)
        return Looked("unknown", unread) if unread else Looked("gone")
    if file.sha256 != evidence.sha256:
        return Looked(
            "gone", f"the file there has the sha256 {file.sha256[:12]}..., not {str(evidence.sha256)[:12]}..."
        )
    return Looked("there", content=file.head, truncated=file.truncated)


def _evidence(evidence: Evidence, seen: Observed, of: str = "") -> Found:
    """Whether it is there, and says what is quoted of it."""
    looked, place = _looked(evidence, seen), f"{of}{evidence.place}"
    text = " ".join(looked.content.decode("utf-8", "replace").split())
    if looked.found == "gone":
        yield "contradicted", f"{place} is not there" + (f" ({looked.why})" if looked.why else "")
    elif looked.found == "unknown":
        yield "declared", f"{place} was not checked: {looked.why}"
    elif evidence.quote and not evidence.doi and evidence.quote not in text and looked.truncated:
        yield "declared", f"only the beginning of {place} was read, which does not say “{evidence.quote}”"
    elif evidence.quote and not evidence.doi and evidence.quote not in text:
        yield "contradicted", f"{place} does not say “{evidence.quote}”"
    else:
        said = f" and says “{evidence.quote}”" if evidence.quote and not evidence.doi else ""
        where = f"in the repository or {FORK}" if evidence.repository else "there"
        yield "verified", f"{place} is {where}{said}"


def _told(stated: Stated, seen: Observed) -> Found:
    """A variable in words: verified where words that it quotes stand at a place that cannot change."""
    if stated.evidence is None:
        yield "declared", "no evidence is named"
        return
    yield from _evidence(stated.evidence, seen)
    if stated.evidence.quote is None or stated.evidence.doi:
        yield "declared", "what it says was not checked"


def _data(stated: Data, entry: Submission, seen: Observed) -> Found:
    """Every set that was learnt from is where the card says, and is named where the entry says what it has seen.

    That something is there shows nothing of what it is: only what was read of a set, by hash or by quotation, counts.
    """
    said, known = set(entry.training_data), {one.name: known_sets(one.name) for one in stated.learnt_from}
    unsaid = [name for name, sets in known.items() if said == {"none"} or (sets and not sets & said)]
    if unsaid and "undisclosed" not in said:
        yield "contradicted", f"trained on {', '.join(unsaid)}, which training_data does not say"
    for one in stated.sets:
        yield from _evidence(one.evidence, seen, of=f"{one.name}: ")
        if not one.evidence.file and (one.evidence.doi or one.evidence.quote is None):
            yield "declared", f"{one.name}: the data were not looked at"


def _software(stated: Software, seen: Observed) -> Found:
    """The lock file is in the image, and the packages there are those that it names."""
    if stated.lock_file is None:
        yield "declared", "no lock file is named"
        return
    evidence = Evidence(file=stated.lock_file, sha256=stated.sha256)
    looked = _looked(evidence, seen)
    yield from _evidence(evidence, seen)
    if looked.found != "there" or not isinstance(seen.contents, Contents):
        return
    if looked.truncated:
        yield "declared", "only its beginning was read, and not compared with the image"
        return
    try:
        locked = locks.read(looked.content)
    except locks.NoLockError as error:
        yield "contradicted", f"it is no lock file: {error}"
        return
    if not seen.contents.packages:
        yield "declared", "the image has no Python packages to compare with it"
        return
    found = locks.compare(locked, seen.contents.packages, seen.contents.pythons)
    yield from (("contradicted", line) for line in locks.first(found.wrong))
    yield from (("declared", line) for line in locks.first(found.unsure))
    if found.same:
        yield "verified", f"all the image's packages are as it names them, {found.same} beside what installs others"
    else:
        yield "declared", "no package that it names is in the image, beside what installs others"


def _weights(stated: Stated, seen: Observed) -> Found:
    """All that predictions take is in the image, since they were made without a network."""
    if stated.evidence:
        yield from _evidence(stated.evidence, seen)
    if seen.tried is None or seen.tried.failure:
        yield "declared", "no run without a network was seen"
    else:
        yield "verified", "the image predicts without a network, so all that this takes is in it"


def _determinism(card: Card, seen: Observed) -> Found:
    """As audits found it: some rows again, fewer and in another order, and once more where they differ.

    One on the benchmark's own tracks may have found what one on a few public rows did not.
    """
    said, tried = card.determinism, seen.tried
    if said is None:
        return
    flags = tuple(dict.fromkeys((*((tried and tried.flags) or ()), *seen.flags)))
    if flags and said != "stochastic":
        yield from (("contradicted", f"the card says {said}, and an audit: {flag}") for flag in flags)
    elif any(flag.startswith(NOT_DETERMINISTIC) for flag in flags):
        yield "verified", "; ".join((said, *flags))
    elif tried is None or tried.flags is None:
        yield "declared", f"{said}; no rerun was seen"
    elif said == "stochastic":
        yield "declared", "; ".join((said, *flags))
    elif said == "exact" and not tried.exact:
        yield "contradicted", "the card says exact; fewer rows in another order gave scores that differ within 1e-4"
    else:
        again = "to the last bit" if tried.exact else "within 1e-4"
        yield "verified", f"{said}: fewer rows in another order gave the same scores {again}"


def flagged(held: Mapping[str, Held], card: Card, flags: tuple[str, ...]) -> dict[str, Held]:
    """What became of a card before runs of its image were recorded: their audits may contradict it since.

    Args:
        flags: of the records of that image.
    """
    found = _sum(_determinism(card, Observed(flags=flags)))
    return {**held, **({"determinism": found} if found.outcome == "contradicted" else {})}


def _exposure(card: Card, entry: Submission, entered: Iterable[Track]) -> Found:
    """Nobody can see that labels were not seen; that they were, the entry's own words may tell."""
    said = card.test_exposure.labels_seen if card.test_exposure else "unknown"
    if said == "unknown":
        return
    yield "declared", f"labels seen: {said}"
    if said == "yes":
        return
    of: dict[str, list[str]] = {"yes": [], "undisclosed": [], "unknown": [], "no": []}
    for track in entered:
        of[trained_on(entry, track)].append(track.id)
    if of["yes"]:
        seen = ", ".join(sorted(of["yes"]))
        yield "contradicted", f"labels seen: {said}; by its own training data it has seen those of {seen}"
    if "undisclosed" in entry.training_data or of["undisclosed"]:
        yield "declared", "which sets it was trained on is undisclosed"
    elif of["unknown"]:
        yield "declared", f"whether what it names holds those of {', '.join(sorted(of['unknown']))} is unknown"


def _image(seen: Observed) -> Held:
    if seen.lost:
        return _held("contradicted", f"it cannot be had: {seen.lost}")
    if seen.pulled:
        return _held("verified", "it was had from its registry by its digest, as by anybody")
    return _held("absent", UNSEEN.why if seen.pulled is None else "it was found on this machine, not in a registry")


def _inference(seen: Observed) -> Held:
    tried = seen.tried
    if tried is None:
        return _held("absent", UNSEEN.why)
    if tried.failure:
        return _held("contradicted", f"on public data it failed: {tried.failure}")
    memory = f"{tried.memory / 1e6:,.0f} MB" if tried.memory else "too quick for its memory to be seen"
    cores = f"{tried.hardware.cpus:g} cores of " if tried.hardware.cpus else ""
    took = f"{tried.rows:,} rows took {tried.seconds:.2g} s, {memory}"
    return _held("verified", took, f"on {cores}{tried.hardware.cpu or 'an unknown processor'}, without a network")


def _predictions(stated: Predictions, seen: Observed) -> Found:
    """The predictions that are scored here are the files that the card names."""
    if stated.evidence:
        yield from (found for found in _evidence(stated.evidence, seen) if found[0] == "contradicted")
    if not stated.sha256:
        yield "declared", "no sha256 is named"
    elif not seen.recorded:
        yield "declared", "no predictions are on record yet"
    elif other := seen.recorded - {*stated.sha256}:
        # a record does not say whether signs were turned round, nor can the file's own hash be told from this one
        turned = "with their sign turned round it is that of the file and a '-' behind it"
        has = ", ".join(f"{one[:16]}..." for one in sorted(other)[:5])
        yield "contradicted", f"what is scored here has the sha256 {has}; of predictions {turned}"
    else:
        yield "verified", f"what is scored here is what it names, by the sha256 of {len(seen.recorded)} files"
