"""`make rebuild`: every number of the board again, from public sources and the committed records.

Prints what is equal, what differs, and what could not be rebuilt and why. The more is at hand, the more is rebuilt:
tables of the tracks (`--hidden`), published files and predictions (`--published`), kept predictions (`--state`).
Exit status 1 where a number differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluator.errors import BenchmarkError
from evaluator.integrity.overlap import named_sets
from evaluator.settings import Repository
from evaluator.store.state import State
from scripts.rebuilding import rankings, relations, scores, site, tables
from scripts.rebuilding.board import Board
from scripts.rebuilding.found import Found

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 30


def rebuild(board: Board) -> Iterator[Found]:
    """Part after part, what came of it."""
    yield from tables.of_tables(board)
    yield scores.of_records(board)
    yield relations.of_unrelated(board)
    yield relations.of_relatives(board)
    yield rankings.of_standings(board)
    yield scores.of_history(board)
    yield site.of_audits(board)
    yield site.of_ceilings(board)
    yield site.of_coverage()
    yield site.of_page(board)
    yield site.of_site(board)
    yield site.of_chain(board)
    yield relations.of_what_was_seen(board)


def told(parts: Sequence[Found]) -> int:
    """Print a table, what differs, and what was not rebuilt and why; returns how many numbers differ."""
    head = ("part", "equal", "differ", "not rebuilt")
    rows = [(f.what, f"{f.equal:,}", f"{len(f.differs):,}", f"{f.left.total():,}") for f in parts]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print(f"{row[0]:<{widths[0]}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)))
    for part in parts:
        for line in part.differs[:SHOWN]:
            print(f"DIFFERS  {line}")
        if len(part.differs) > SHOWN:
            print(f"DIFFERS  and {len(part.differs) - SHOWN:,} more of {part.what}")
        for why, count in part.left.most_common():
            print(f"not rebuilt  {part.what}: {count:,}, since {why}")
    return sum(len(part.differs) for part in parts)


def main() -> None:
    """Rebuild, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout  [default: this one]")
    parser.add_argument("--hidden", default="", help="folder with <track>/{sequences,labels}.csv")
    parser.add_argument("--published", default="", help="folder with published files and predictions")
    parser.add_argument("--train", default="", help="NAME=FILE,... of training sets, for the audits")
    parser.add_argument("--state", default="", help="folder with kept predictions  [default: <root>/.apb]")
    options = parser.parse_args()
    repository = Repository(options.root.resolve())
    try:
        with tempfile.TemporaryDirectory() as work:
            board = Board(
                repository,
                hidden=Path(options.hidden) if options.hidden else None,
                published=Path(options.published).resolve() if options.published else None,
                train=named_sets(options.train),
                state=State(Path(options.state) if options.state else repository.state),
                work=Path(work).resolve(),
            )
            differ = told(list(rebuild(board)))
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
