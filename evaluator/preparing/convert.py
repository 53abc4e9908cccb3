"""Antibodies from one file format into another; what is dropped is told, nothing is guessed against the columns.

Every format is read into the same rows and written from them. Tables are read strictly: a row with more or fewer fields
than the header is refused, since what it would be cut to is anybody's guess.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluator.contract.formats import foreign, read_bytes
from evaluator.contract.sequences import AMINO_ACIDS
from evaluator.errors import UsageError
from evaluator.files import all_or_nothing, write_bytes
from evaluator.preparing.layouts import ENDS, FORMATS, Antibodies, Antibody, Rows, with_heavy_chains
from evaluator.text import printable


def convert(
    source: Path, target: Path, *, first: str = "", then: str = "", value: str = "", light: Path | None = None,
    light_target: Path | None = None,
) -> Antibodies:  # fmt: skip
    """Read one file and write another; what was read is returned with its notes.

    Args:
        first, then: names of formats; by default by the columns of the source, and the ending of the target.
        value: the measured property that is taken along, where there are several.
        light, light_target: light chains as a FASTA file of their own.

    Raises:
        UsageError: the source is none of the formats, or not the one that was named; nothing is written then.
    """
    found = _checked(_read(source, first, value, light))
    if not found.rows:
        raise UsageError(f"{source} has no antibody that can be used. {' '.join(found.notes[:3])}")
    files = _written(found, then or _by_ending(target), target, light_target)
    with all_or_nothing(*files):
        for path, content in files.items():
            write_bytes(path, content.encode())
    return found


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(source: Path, name: str, value: str, light: Path | None) -> Antibodies:
    text = _text(source)
    if text.lstrip().startswith(">") or name == "fasta":
        if name not in {"", "fasta"}:
            raise UsageError(f"{source} is FASTA, not {name}.")
        return _of_fasta(source, text, light)
    if light:
        raise UsageError(f"{source} is a table; a second file for light chains is for FASTA.")
    header, rows = _table(source, text)
    fitting = [key for key, form in FORMATS.items() if form.columns and set(form.columns) <= set(header)]
    if name:
        if name not in fitting:
            raise UsageError(_unlike(source, header, f"is not {name}", [name]))
    elif len(fitting) == 1:
        (name,) = fitting
    elif fitting:
        raise UsageError(f"{source} may be {' or '.join(fitting)}. Name one with --from.")
    else:
        raise UsageError(_unlike(source, header, "is none of the formats that are known", list(FORMATS)))
    return FORMATS[name].read(rows, value)


def _unlike(source: Path, header: Sequence[str], what: str, names: Sequence[str]) -> str:
    shown = ", ".join(printable(column, 40) for column in header[:12]) + (", ..." if len(header) > 12 else "")
    need = "; ".join(f"{n}: {', '.join(FORMATS[n].columns[:4])}" for n in names if FORMATS[n].columns)
    return f"{source} {what}: its columns are {shown}. Needed are {need}."


def _text(path: Path) -> str:
    try:
        data = read_bytes(path)
    except ValueError as error:
        raise UsageError(f"{path} {error}.") from error
    if kind := foreign(data):
        raise UsageError(f"{path} is {kind}. Save it as text in UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} line {data.count(10, 0, error.start) + 1} is not UTF-8. Save it as UTF-8.") from error


def _table(path: Path, text: str) -> tuple[list[str], Rows]:
    first = text.partition("\n")[0]
    separator = max(",\t;", key=first.count)
    if not first.count(separator) and len(first.split()) > 1:
        separator = " "
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=separator == " "
    )
    rows: Rows = []
    header: list[str] = []
    try:
        for fields in reader:
            if not fields:
                continue
            if not header:
                header = [cell.strip() for cell in fields]
                if len(set(header)) < len(header):
                    raise UsageError(f"{path} names a column twice.")
                continue
            if len(fields) != len(header):
                raise UsageError(f"{path} line {reader.line_num} has {len(fields)} fields, the header {len(header)}.")
            rows.append(dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise UsageError(
            f"{path} line {reader.line_num} cannot be split into fields: is a quote not closed?"
        ) from error
    if not rows:
        raise UsageError(f"{path} has no rows.")
    return header, rows


def _of_fasta(path: Path, text: str, light: Path | None) -> Antibodies:
    chains: dict[str, dict[str, str]] = {}
    found = Antibodies()
    for file, default in ((path, "heavy"), (light, "light")):
        if file is None:
            continue
        for name, sequence in _records(file, text if file == path else _text(file)):
            end = next((end for end in ENDS if name.endswith(end)), "")
            chain = ENDS.get(end, default)
            own = chains.setdefault(name.removesuffix(end), {})
            if chain in own:
                raise UsageError(f"{file} has two {chain} chains of {printable(name, 60)}.")
            own[chain] = sequence
    return with_heavy_chains(chains, found)


def _records(path: Path, text: str) -> Iterator[tuple[str, str]]:
    try:
        from Bio import SeqIO
    except ImportError as error:
        raise UsageError("FASTA needs Biopython: pip install '.[prepare]'.") from error
    if not text.lstrip().startswith(">"):
        raise UsageError(f"{path} is no FASTA: its first line begins without >.")
    for record in SeqIO.parse(io.StringIO(text.lstrip()), "fasta"):  # type: ignore[no-untyped-call]
        yield str(record.id), str(record.seq)


def _checked(found: Antibodies) -> Antibodies:
    """Without what nobody could score: gaps go, lower case is raised, the rest is dropped with its reason."""
    kept, seen, gaps, lower = list[Antibody](), set[str](), 0, 0
    for number, one in enumerate(found.rows, start=1):
        chains = [re.sub(r"[-.\s]", "", chain) for chain in (one.heavy, one.light)]
        gaps += chains != [one.heavy, one.light]
        raised = [chain.upper() if chain.isascii() else chain for chain in chains]
        lower += raised != chains
        key = one.id.strip()
        strange = sorted(set("".join(raised)) - AMINO_ACIDS)
        why = (
            "it has no id" if not key
            else "its id stands there already" if key in seen
            else "it has no heavy chain" if not raised[0]
            else f"{printable(strange[0])} is no amino acid" if strange else ""
        )  # fmt: skip
        if why:
            found.notes.append(f"antibody {number} ({printable(key, 60)}) dropped: {why}")
            continue
        seen.add(key)
        kept.append(Antibody(key, raised[0], raised[1], one.value))
    if gaps:
        found.notes.append(f"gaps or spaces were taken out of {gaps:,} antibodies")
    if lower:
        found.notes.append(f"{lower:,} antibodies were in lower case")
    return Antibodies(kept, found.value if any(one.value for one in kept) else "", found.notes)


# -- writing ----------------------------------------------------------------------------------------------------------


def _by_ending(target: Path) -> str:
    name = target.name.removesuffix(".gz")
    found = {".fasta": "fasta", ".fa": "fasta", ".tsv": "airr", ".csv": "benchmark"}.get(Path(name).suffix)
    if found is None or target.suffix == ".gz":
        raise UsageError(f"{target} does not say its format: name one with --to ({', '.join(FORMATS)}), unpacked.")
    return found


def _written(found: Antibodies, name: str, target: Path, light_target: Path | None) -> dict[Path, str]:
    if name == "fasta":
        if found.value:
            found.notes.append(f"{printable(found.value, 60)} dropped: FASTA has no values")
        return _as_fasta(found, target, light_target)
    if light_target:
        raise UsageError("A second file for light chains is for FASTA.")
    form = FORMATS[name]
    if form.write is None:
        raise UsageError(
            f"{name} cannot be written: chains would have to be numbered first, by a program such as ANARCI."
        )
    header, rows = form.write(found)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=form.separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return {target: buffer.getvalue()}


def _as_fasta(found: Antibodies, target: Path, light_target: Path | None) -> dict[Path, str]:
    if any(re.search(r"\s", one.id) or one.id.endswith(tuple(ENDS)) for one in found.rows):
        raise UsageError("An id with a space, or that ends in |H or |L, cannot be told from its FASTA header.")
    paired = any(one.light for one in found.rows)
    ends = ("", "") if light_target or not paired else tuple(ENDS)
    heavy = [f">{one.id}{ends[0]}\n{one.heavy}\n" for one in found.rows]
    light = [f">{one.id}{ends[1]}\n{one.light}\n" if one.light else "" for one in found.rows]
    if light_target:
        return {target: "".join(heavy), light_target: "".join(light)}
    return {target: "".join(h + li for h, li in zip(heavy, light, strict=True))}
