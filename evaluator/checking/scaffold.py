"""A new submission that passes `apb check` as it is."""

from __future__ import annotations

import shutil
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
    files = [source.name for source in sorted(TEMPLATES.iterdir()) if source.is_file()]  # pip compiles beside them
    texts = {file.replace("NAME", name): templates.get_template(file).render(name=name) for file in files}
    folder.mkdir(parents=True)
    try:
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder
