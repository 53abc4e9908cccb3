"""The formats in which antibodies are written down: how each is known, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evaluator.errors import UsageError
from evaluator.preparing.sources import IMGT
from evaluator.text import printable

Rows = list[dict[str, str]]
AHO = tuple(str(k) for k in range(1, 150))
"""Positions of Honegger and Pluckthun 2001, J. Mol. Biol. 309:657."""
Written = tuple[list[str], Iterator[list[str]]]
"""A header, and the rows."""
ENDS = {"|H": "heavy", "|L": "light"}


@dataclass(frozen=True)
class Antibody:
    """One antibody; `light` is empty where there is none, `value` where nothing was measured."""

    id: str
    heavy: str
    light: str = ""
    value: str = ""


@dataclass
class Antibodies:
    """All of a file.

    Attributes:
        value: what the values are called; empty where there are none.
        notes: what was dropped or changed, and why.
    """

    rows: list[Antibody] = field(default_factory=list)
    value: str = ""
    notes: list[str] = field(default_factory=list)


Writer = Callable[[Antibodies], Written]


@dataclass(frozen=True)
class Format:
    """One way to write antibodies down.

    Attributes:
        columns: by which it is known; empty for FASTA.
        read: from rows by column name, and the name of the value that is wanted, if one is.
        write: to header and rows; None where nobody can.
    """

    columns: tuple[str, ...]
    read: Callable[[Rows, str], Antibodies]
    write: Writer | None
    separator: str = ","
    help: str = ""


def _chosen(rows: Rows, taken: Sequence[str], value: str, notes: list[str]) -> str:
    """The column with the values: the one that is named, else the only one that there is."""
    others = [name for name in rows[0] if name not in taken]
    if value:
        if value not in others:
            raise UsageError(f"There is no column {printable(value, 60)}. There are: {', '.join(others) or 'none'}.")
        return value
    if len(others) == 1:
        return others[0]
    if others:
        notes.append(f"columns {', '.join(printable(o, 40) for o in others[:8])} dropped: name one with --property")
    return ""


def _plain(name: str, heavy: str, light: str) -> Callable[[Rows, str], Antibodies]:
    """A reader of one row an antibody, by its columns; an empty `name` numbers them."""

    def read(rows: Rows, value: str) -> Antibodies:
        found = Antibodies()
        found.value = _chosen(rows, [name, heavy, light], value, found.notes)
        if not name:
            found.notes.append("ids were made: row_1, row_2, ...")
        for number, row in enumerate(rows, start=1):
            key = row[name] if name else f"row_{number}"
            found.rows.append(Antibody(key, row[heavy], row.get(light, ""), row.get(found.value, "").strip()))
        return found

    return read


def with_heavy_chains(chains: Mapping[str, Mapping[str, str]], found: Antibodies) -> Antibodies:
    """Add antibodies from their chains by name; a light chain alone is none, which is told."""
    for name, own in chains.items():
        if "heavy" in own:
            found.rows.append(Antibody(name, own["heavy"], own.get("light", "")))
        else:
            found.notes.append(f"{printable(name, 60)} dropped: a light chain without a heavy one")
    return found


def _airr(rows: Rows, value: str) -> Antibodies:
    """Chains by `cell_id`, or by the end of their ids."""
    found, cells = Antibodies(), dict[str, dict[str, str]]()
    if value:
        raise UsageError("AIRR rearrangements hold no measured values.")
    for row in rows:
        end = next((end for end in ENDS if row["sequence_id"].endswith(end)), "")
        locus = row.get("locus", "").upper()
        chain = "heavy" if locus == "IGH" else "light" if locus in {"IGK", "IGL"} else ENDS.get(end, "")
        if not chain:
            found.notes.append(f"{printable(row['sequence_id'], 60)} dropped: no locus of an antibody's chain")
            continue
        name = row.get("cell_id") or row["sequence_id"].removesuffix(end)
        own = cells.setdefault(name, {})
        if chain in own:
            found.notes.append(
                f"{printable(row['sequence_id'], 60)} dropped: a second {chain} chain of {printable(name, 60)}"
            )
            continue
        own[chain] = row.get("sequence_vdj_aa") or row.get("sequence_alignment_aa") or ""
    return with_heavy_chains(cells, found)


def _columns(positions: Sequence[str]) -> Callable[[Rows, str], Antibodies]:
    """A reader of one column a position, gaps as - or nothing."""

    def read(rows: Rows, value: str) -> Antibodies:
        name = next((n for n in ("sequence_id", "id", "Id", "ID", "Name", "name") if n in rows[0]), "")
        found = Antibodies()
        found.value = value if value in rows[0] else ""
        if value and not found.value:
            raise UsageError(f"There is no column {printable(value, 60)}.")
        if not name:
            found.notes.append("ids were made: row_1, row_2, ...")
        here = [position for position in positions if position in rows[0]]
        for number, row in enumerate(rows, start=1):
            heavy = "".join(row[position].strip() for position in here)
            key = row[name] if name else f"row_{number}"
            found.rows.append(Antibody(key, heavy, "", row.get(found.value, "").strip()))
        return found

    return read


def _row_writer(name: str, heavy: str, light: str, value: str) -> Writer:
    """A writer of one row an antibody; an empty `value` is called what it is called."""

    def write(found: Antibodies) -> Written:
        with_light = name != "sequence_id" or any(one.light for one in found.rows)
        called = [value or found.value] if found.value or value else []
        if not name:
            found.notes.append("ids dropped: this format has none")
        header = [*filter(None, [name]), heavy, *([light] if with_light else []), *called]
        rows = (
            [
                *([one.id] if name else []),
                one.heavy,
                *([one.light] if with_light else []),
                *([one.value] if called else []),
            ]
            for one in found.rows
        )
        return header, rows

    return write


def _benchmark(found: Antibodies) -> Written:
    """Values are a `label` where all are 0 or 1, else a `target`."""
    kind = ("label" if {one.value for one in found.rows} <= {"0", "1"} else "target") if found.value else ""
    if found.value and found.value != kind:
        found.notes.append(f"{printable(found.value, 60)} is called {kind}")
    missing = sum(not one.value for one in found.rows) if kind else 0
    if missing:
        found.notes.append(f"{missing:,} antibodies dropped: no value of {printable(found.value, 60)}")
        found.rows = [one for one in found.rows if one.value]
    return _row_writer("sequence_id", "sequence", "light_sequence", kind)(found)


def _no_values(found: Antibodies) -> Antibodies:
    if found.value:
        found.notes.append(f"{printable(found.value, 60)} dropped: this format has no values")
    return Antibodies(found.rows, "", found.notes)


def _as_airr(found: Antibodies) -> Written:
    header = ["sequence_id", "sequence_vdj_aa", "locus", "cell_id"]
    chains = (
        [f"{one.id}{end}", sequence, locus, one.id]
        for one in _no_values(found).rows
        for end, sequence, locus in (("|H", one.heavy, "IGH"), ("|L", one.light, ""))
        if sequence
    )
    return header, chains


def _as_polyxpert(found: Antibodies) -> Written:
    return _row_writer("Name", "VH", "VL", "")(_no_values(found))


FORMATS = {
    "benchmark": Format(
        ("sequence_id", "sequence"), _plain("sequence_id", "sequence", "light_sequence"), _benchmark,
        help="sequence_id, sequence[, light_sequence][, label | target]",
    ),
    "fasta": Format((), lambda _rows, _value: Antibodies(), None, help=">id, or >id|H and >id|L; or two files"),
    "gdpa": Format(
        ("antibody_name", "vh_protein_sequence"),
        _plain("antibody_name", "vh_protein_sequence", "vl_protein_sequence"),
        _row_writer("antibody_name", "vh_protein_sequence", "vl_protein_sequence", ""),
        help="antibody_name, vh_protein_sequence, vl_protein_sequence, properties",
    ),
    "flab": Format(
        ("heavy", "light"),
        _plain("", "heavy", "light"),
        _row_writer("", "heavy", "light", "fitness"),
        help="heavy, light, fitness",
    ),
    "airr": Format(
        ("sequence_id", "locus"), _airr, _as_airr, separator="\t",
        help="rearrangements: sequence_id, sequence_vdj_aa or sequence_alignment_aa, locus, cell_id",
    ),
    "polyxpert": Format(("Name", "VH", "VL"), _plain("Name", "VH", "VL"), _as_polyxpert, help="Name, VH, VL"),
    "imgt": Format(
        ("1", "104", "128"), _columns(IMGT), None, help="one column a position, insertions as 111A; read only"
    ),
    "aho": Format(("1", "140", "149"), _columns(AHO), None, help="one column a position, 1 to 149; read only"),
}  # fmt: skip
