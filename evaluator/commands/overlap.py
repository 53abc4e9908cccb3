"""`apb overlap`: does a training set hold relatives of a track's antibodies?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluator.commands.options import (
    FILE,
    FOLDER,
    JSON,
    TRACKS,
    Command,
    For,
    clone_of,
    named,
    print_json,
    repository_of,
)

if TYPE_CHECKING:
    from evaluator.contract.labels import TrackData
    from evaluator.integrity.overlap import Known
    from evaluator.settings import Repository


@click.command(
    cls=Command,
    group=For.CONTRIBUTORS,
    examples="apb overlap --train boughter_vh.csv --hidden /srv/hidden --tracks jain,shehata\n"
    "apb overlap --train boughter_vh.csv --hidden /srv/hidden --predictions jain=predictions.csv\n"
    "apb overlap --train my-training-data.csv --canary\n"
    "apb overlap --train my-training-data.csv --salted hashes.csv\n"
    "apb overlap --train boughter_vh.csv --hidden /srv/hidden --write boughter\n"
    "apb overlap --matrix --sets boughter=boughter_vh.csv --hidden /srv/hidden --out docs/overlap.md",
)
@click.option("--train", type=FILE, help="CSV with a column sequence: heavy chains that a model was trained on.")
@click.option("--hidden", type=FOLDER, help="Where <track>/sequences.csv and labels.csv are.")
@TRACKS
@click.option(
    "--predictions",
    "predicted",
    multiple=True,
    metavar="TRACK=FILE",
    help="Also score this file, with and without the rows that have a relative at .90.",
)
@click.option("--canary", is_flag=True, help="Say whether the training file holds canaries of this benchmark.")
@click.option("--salted", type=FILE, help="Write salted hashes of the training file, to be published in its place.")
@click.option(
    "--write", "kept_as", metavar="NAME", default="", help="Keep it as test_data/relatives/NAME.json, for scores."
)
@click.option("--matrix", is_flag=True, help="Several sets, and each track, against each track.")
@click.option("--sets", default="", metavar="NAME=FILE,...", help="With --matrix: the sets.")
@click.option("--out", type=FILE, help="With --matrix: write it as a page in markdown.")
@JSON
@click.pass_context
def command(
    context: click.Context,
    train: Path | None,
    hidden: Path | None,
    tracks: str,
    predicted: tuple[str, ...],
    salted: Path | None,
    kept_as: str,
    sets: str,
    out: Path | None,
    *,
    canary: bool,
    matrix: bool,
    as_json: bool,
) -> None:
    """Count the antibodies of each track with the same or a similar heavy chain in a training set.

    Identity is 1 - edits / length of the longer chain; CDR-H3 is what lies between the last cysteine of framework 3 and
    framework 4, which starts with the last W-G-x-G or, where there is none, the last W-x-x-G. What was never compared
    is unknown, not clean.

    The training file may hold salted hashes in place of sequences: then only what is exactly the same is found. With
    --write, the board scores entries trained on it with and without the rows that have a relative at .90; NAME is what
    `training_data` calls the set, or the id of the entry whose own file it is.
    """
    from evaluator.integrity import at_hand, overlap

    if matrix != (train is None) or (matrix and (canary or predicted or salted or kept_as)):
        raise click.UsageError("Name a training file with --train, or sets with --matrix --sets.")
    if sum(map(bool, (canary, predicted, salted, kept_as))) > 1:
        raise click.UsageError("--canary, --predictions, --salted and --write are each for themselves.")
    if not matrix and (sets or out):
        raise click.UsageError("--sets and --out go with --matrix.")
    repository = repository_of(context)
    if matrix:
        _matrix(repository, overlap.named_sets(sets), named(tracks), _given(hidden), out, as_json=as_json)
        return
    assert train is not None
    known = overlap.read_known(train)
    files = _files(predicted)
    if salted is not None:
        _salt(known, salted)
        return
    if kept_as:
        _keep(context, known, kept_as, at_hand.with_sequences(repository.tracks, named(tracks), _given(hidden)))
        return
    if canary:
        _canary(repository, known, as_json=as_json)
        return
    _of_one(repository, known, named(tracks), _given(hidden), files, as_json=as_json)


def _given(hidden: Path | None) -> Path:
    if hidden is None:
        raise click.UsageError("Name where the tracks' sequences are with --hidden.")
    return hidden


def _salt(known: Known, out: Path) -> None:
    from evaluator.files import write_bytes
    from evaluator.integrity import salted

    if known.salted is not None:
        raise click.UsageError("The training file holds hashes already.")
    write_bytes(out, salted.as_csv(known.heavy))
    click.echo(f"{out}: hashes of {len(set(known.heavy)):,} heavy chains. They tell what is exactly the same, no more.")


def _keep(context: click.Context, known: Known, name: str, tracks: Iterable[TrackData]) -> None:
    from evaluator.contract.training_sets import NAMES
    from evaluator.errors import UsageError
    from evaluator.files import write_json
    from evaluator.integrity import relatives
    from evaluator.integrity.findings import overlap_in_words
    from evaluator.text import printable

    repository = clone_of(context)
    if name not in NAMES and not (repository.submissions / f"{name}.yaml").is_file():
        remedy = "Use a word of training_data, or the id of an entry with training_sequences."
        raise UsageError(f"'{printable(name, 60)}' is neither a known training set nor an entry.", remedy)
    found = relatives.compare(replace(known, name=name), tracks)
    write_json(repository.public_data / "relatives" / f"{name}.json", found.model_dump(mode="json"))
    for track, one in found.tracks.items():
        click.echo(f"{track}: {overlap_in_words(one.found)}")
    click.echo(f"kept as test_data/relatives/{name}.json: the next round scores again what was trained on it")


def _canary(repository: Repository, known: Known, *, as_json: bool) -> None:
    from evaluator.integrity import canaries

    found = canaries.named_in(known, repository.public_data / "canary.csv")
    if as_json:
        print_json({"canaries": [*found], "how": found})
    elif found:
        click.echo(f"{canaries.in_words(found)}: the file was made, in part, from its repository.")
    elif known.salted:
        click.echo("No canary of this benchmark by its hash, which tells of exact copies alone.")
    else:
        click.echo("No canary of this benchmark, which does not show that none of its antibodies is there.")


def _of_one(
    repository: Repository,
    known: Known,
    names: Sequence[str],
    hidden: Path,
    files: dict[str, str],
    *,
    as_json: bool,
) -> None:
    from evaluator.integrity import at_hand, overlap
    from evaluator.integrity.findings import overlap_in_words

    found: dict[str, Any] = {}
    for data in at_hand.with_sequences(repository.tracks, names, hidden):
        track = data.track.id
        counted, identity = overlap.of_known(at_hand.heavy_of(data), known)
        found[track] = counted.model_dump()
        if not as_json:
            click.echo(f"{track} ({data.n:,}): {overlap_in_words(counted)}")
        if path := files.pop(track, None):
            found[track]["scores"] = _scores(data, Path(path), overlap.unrelated(identity), quiet=as_json)
    if files:
        raise click.UsageError("--predictions names a track that was not looked at; write TRACK=FILE.")
    if as_json:
        print_json({"train": known.size, "tracks": found})
    elif not found:
        click.echo("No track has its sequences at hand.")


def _files(predicted: Sequence[str]) -> dict[str, str]:
    """The files of --predictions TRACK=FILE by track, each named once."""
    files: dict[str, str] = {}
    for track, _, path in (one.partition("=") for one in predicted):
        if not track or not path:
            raise click.UsageError("--predictions names a track without a file; write TRACK=FILE.")
        if track in files:
            raise click.UsageError("--predictions names a track twice; write one TRACK=FILE for each track.")
        files[track] = path
    return files


def _scores(data: TrackData, path: Path, keep: Any, *, quiet: bool) -> dict[str, Any]:
    """A track's metric with and without relatives, as finely as may be told."""
    from evaluator.contract.task_types import METRICS
    from evaluator.integrity import disclosure, overlap

    every, without = (e.as_dict() for e in overlap.scores(data, path, keep))
    for told in (every, without):
        told.update({k: disclosure.rounded(v, data.track) for k, v in told.items() if isinstance(v, float)})
    if not quiet:
        left = without["reason"] if without["value"] is None else f"{without['value']:.4f} of {keep.sum():,} rows"
        title = METRICS[data.track.primary_metric].title
        click.echo(f"  {title} {_number(every['value'])}; without relatives at .90: {left}")
    return {"metric": data.track.primary_metric, "all": every, "without_relatives": without, "left": int(keep.sum())}


def _number(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _matrix(
    repository: Repository,
    sets: Sequence[Known],
    names: Sequence[str],
    hidden: Path,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from evaluator.files import write_bytes
    from evaluator.integrity import at_hand, disclosure, overlap

    at_all = list(at_hand.with_sequences(repository.tracks, names, hidden))
    for data in at_all:
        if disclosure.is_hidden(data.track):
            click.echo(f"note {data.track.id} is hidden, and left out of what is published", err=True)
    tracks = {d.track.id: at_hand.heavy_of(d) for d in at_all if not disclosure.is_hidden(d.track)}
    found = overlap.matrix(sets, tracks)
    text = overlap.page(found, sets, list(tracks))
    if out is not None:
        write_bytes(out, text.encode())
    if as_json:
        print_json({s: {t: o.model_dump() for t, o in of.items()} for s, of in found.items()})
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{len(found)} sets on {len(tracks)} tracks: {out}")
