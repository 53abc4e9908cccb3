"""A new submission that passes `apb check` as it is."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluator.contract.models import is_id
from evaluator.errors import SubmissionError
from evaluator.settings import PACKAGE
from evaluator.text import printable

TEMPLATES = PACKAGE / "checking" / "templates"


def scaffold(name: str, parent: Path) -> Path:
    """Write `<parent>/<name>/` with a YAML, a Dockerfile, a predict.py and a README.

    Raises:
        SubmissionError: the name is no id, or the folder is there already.
    """
    if not is_id(name):
        raise SubmissionError(
            "ID",
            f"'{printable(name, 80)}' cannot be an id.",
            "Use 3 to 64 of a-z, 0-9 and -, beginning with a letter or digit.",
        )
    folder = parent / name
    if folder.exists():
        raise SubmissionError("EXISTS", f"{folder} is there already.", "Choose another name, or remove it.")
    # The templates make YAML, a Dockerfile and Python, not HTML; the name is checked above.
    templates = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    folder.mkdir(parents=True)
    for source in sorted(TEMPLATES.iterdir()):
        target = folder / source.name.replace("NAME", name)
        target.write_text(templates.get_template(source.name).render(name=name), encoding="utf-8")
    return folder
