"""`apb`, cut short at a stage of a round: python -m tests.support.cut_short STAGE SIGNAL -- arguments of apb.

The process sends itself the signal when the stage's function is called, before anything of it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from typing import Any

STAGES = {  # what is called, and at which call of it the round ends
    "log": ("evaluator.store.state:State.drop_old_logs", 1),
    "record": ("evaluator.store.results:Results.put", 2),
    "history": ("evaluator.store.results:Results._put_chained", 2),
    "file": ("evaluator.store.results:write_bytes", 2),
    "pairs": ("evaluator.store.results:Results.put_pairs", 1),
    "standings": ("evaluator.store.results:Results.put_standings", 1),
    "tables": ("evaluator.rounds.rescoring:write", 1),
    "table": ("evaluator.rounds.rescoring:write_bytes", 1),
}


def main() -> None:
    """Arm the stage, and run the command."""
    stage, name = sys.argv[1:3]
    where, count = STAGES[stage]
    module, _, path = where.partition(":")
    *parents, last = path.split(".")
    place: Any = import_module(module)
    for parent in parents:
        place = getattr(place, parent)
    function, calls = getattr(place, last), iter(range(1, 10**6))

    def armed(*arguments: Any, **options: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(0.2)  # a signal is handled between two lines of Python
        return function(*arguments, **options)

    setattr(place, last, armed)
    sys.argv = ["apb", *sys.argv[4:]]
    from evaluator.commands.cli import main as apb

    apb()


if __name__ == "__main__":
    main()
