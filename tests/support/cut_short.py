"""`apb`, cut short at a stage of a round: python -m tests.support.cut_short STAGE SIGNAL COUNT -- arguments of apb.

The process sends itself the signal when the stage's function is called for the COUNT-th time, before anything of it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from typing import Any

STAGES = {
    "log": "evaluator.store.state:State.drop_old_logs",
    "record": "evaluator.store.results:Results.put",
    "history": "evaluator.store.results:Results._put_chained",
    "file": "evaluator.store.results:write_bytes",
    "pairs": "evaluator.store.results:Results.put_pairs",
    "standings": "evaluator.store.results:Results.put_standings",
    "tables": "evaluator.rounds.rescoring:write",
    "table": "evaluator.rounds.rescoring:write_bytes",
}


def main() -> None:
    """Arm the stage, and run the command."""
    stage, name, count = sys.argv[1:4]
    module, _, path = STAGES[stage].partition(":")
    *parents, last = path.split(".")
    place: Any = import_module(module)
    for parent in parents:
        place = getattr(place, parent)
    function, calls = getattr(place, last), iter(range(1, 10**6))

    def armed(*arguments: Any, **options: Any) -> Any:
        if next(calls) == int(count):
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(0.2)  # a signal is handled between two lines of Python
        return function(*arguments, **options)

    setattr(place, last, armed)
    sys.argv = ["apb", *sys.argv[5:]]
    from evaluator.commands.cli import main as apb

    apb()


if __name__ == "__main__":
    main()
