"""The code of a reproducibility card: its commit, which image was made of it, and under which licence it is."""

from __future__ import annotations

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from evaluator.contract.observed import UNSEEN, Found, Observed
from evaluator.contract.reproducibility import Code
from evaluator.contract.submissions import Submission
from evaluator.integrity import licences
from evaluator.text import printable

LABELS = {
    "revision": "org.opencontainers.image.revision",
    "source": "org.opencontainers.image.source",
    "license": "org.opencontainers.image.licenses",
}
"""https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md"""
FORK = "a fork of it"
"""Hosts show commits of forks, and of proposed changes, under the address of the repository itself."""


def open_code(stated: Code, entry: Submission, seen: Observed) -> Found:
    """Its commit is there for all to see, and the image says that it was made from it, under that licence."""
    license_ = stated.license or entry.license
    if entry.license and license_ != entry.license:
        yield "contradicted", f"the card says {license_}, the entry itself {entry.license}"
    said = {"revision": stated.commit, "source": stated.repository, "license": license_}
    labels = {name: (seen.labels or {}).get(label, "").strip() for name, label in LABELS.items()}
    for name, value in said.items():
        if not value or not labels[name]:
            continue
        if _same(name, value, labels[name]):
            yield "verified", f"the image's label says so ({LABELS[name].rpartition('.')[2]})"
        else:
            what = f"the image's label {LABELS[name]} says {printable(labels[name], 100)}"
            yield "contradicted", f"{what}, the card {value}"
    if not (stated.commit and stated.repository):
        yield "declared", "no commit is named"
        return
    looked, commit = seen.commit or UNSEEN, f"commit {stated.commit[:12]} of {stated.repository}"
    if looked.found == "gone":
        yield "contradicted", f"{commit} is not there for all to see"
    elif looked.found == "unknown":
        yield "declared", f"{commit} was not checked: {looked.why}"
    else:
        yield "verified", f"{commit} is there, in the repository or {FORK}"
    if not entry.archived and not (labels["revision"] and labels["source"]):
        yield "declared", "the image has no labels that name it, and may be of another"
    yield from _license(license_, labels["license"], seen)


def _license(said: str | None, label: str, seen: Observed) -> Found:
    """By the licence file at the commit; a label, which is the author's word again, counts where no file denies it."""
    name, looked = seen.license_file or ("", UNSEEN)
    holds = licences.says(looked.content, said) if said and looked.found == "there" else None
    if said is None:
        yield "declared", "no licence is named"
    elif holds is False:
        has = " and ".join(sorted(licences.recognised(looked.content)))
        yield "contradicted", f"{name} at the commit has the text of {has}, the card says {said}"
    elif holds:
        yield "verified", f"{name} at the commit has the text of {said}"
    elif not label:
        yield "declared", "the licence was not checked: no label names it, and no licence file that is known here"


def _same(name: str, said: str, label: str) -> bool:
    if name == "source":
        return said.casefold() == label.rstrip("/").removesuffix(".git").casefold()
    if name == "license":
        try:
            return said == canonicalize_license_expression(label)
        except InvalidLicenseExpression:
            return False
    return said == label
