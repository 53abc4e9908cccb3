"""The reproducibility card as a stranger writes it: evidence that may change is refused, all is bounded and inert."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contract.reproducibility import Card
from evaluator.contract.submissions import Submission, parse
from evaluator.errors import SubmissionError
from evaluator.integrity.evidence import FORGES
from tests.conftest import ROOT
from tests.contract.test_submissions import ANY_VALUE, CARD, MINIMAL, check_any, inert


def read(card: dict[str, Any]) -> Submission:
    return parse((MINIMAL + yaml.safe_dump({"reproducibility": card})).encode(), "my-model")


def refusal(text: str) -> SubmissionError:
    with pytest.raises(SubmissionError) as caught:
        parse(f"{MINIMAL}reproducibility:\n  card: 1\n  {text}\n".encode(), "my-model")
    assert inert(str(caught.value))
    return caught.value


def test_a_bare_yes_or_no_is_the_word_that_was_written() -> None:
    text = "reproducibility: {card: 1, splits: {status: yes}, weights: {status: no, reason: x}, "
    card = parse(f"{MINIMAL}{text}test_exposure: {{labels_seen: no}}}}".encode(), "my-model").card
    assert card is not None and card.splits and card.weights and card.test_exposure
    assert (card.splits.status, card.weights.status, card.test_exposure.labels_seen) == ("yes", "no", "no")


def test_what_was_checked_is_told_from_what_has_changed_since() -> None:
    card, other = read(CARD).card, read({**CARD, "determinism": "exact"}).card
    assert card is not None and other is not None
    assert card.sha256 == read(dict(reversed(CARD.items()))).card.sha256 != other.sha256  # type: ignore[union-attr]


def test_a_repository_is_the_same_with_and_without_git_behind_it() -> None:
    code = {"status": "yes", "commit": "0" * 40}
    for address in ("https://github.com/a/b.git", "https://github.com/a/b/"):
        card = read({"card": 1, "open_code": {**code, "repository": address}}).card
        assert card is not None and card.open_code and card.open_code.repository == "https://github.com/a/b"


@pytest.mark.parametrize(
    "address",
    ["https://github.com/a/b", "https://codeberg.org/a/b", "https://huggingface.co/a/b", "https://gitlab.com/a/b/c/d",
     "https://huggingface.co/datasets/a/b", "https://huggingface.co/spaces/a/b", "https://git.example.org/a/b/main"],
)  # fmt: skip
def test_repositories_of_every_host_are_read(address: str) -> None:
    card = read({"card": 1, "open_code": {"status": "yes", "commit": "0" * 40, "repository": address}}).card
    assert card is not None and card.open_code and card.open_code.repository == address


PAGES = ("/main", "/tree/main", "/src/branch/main", "/blob/main", "/-/tree/main", "/-")


@pytest.mark.parametrize(
    ("host", "more"),  # GitLab has groups in groups, and a dash of its own before all else
    [(host, more) for host in FORGES for more in PAGES if host != "gitlab.com" or "/-" in more],
)
def test_a_folder_of_a_branch_is_no_repository(host: str, more: str) -> None:
    code = f"{{status: yes, repository: 'https://{host}/a/b{more}', commit: '{COMMIT}'}}"
    evidence = f"{{status: yes, evidence: {{repository: 'https://{host}/a/b{more}', commit: '{COMMIT}', path: x}}}}"
    for text in (f"open_code: {code}", f"splits: {evidence}"):
        assert f"must be the repository alone, https://{host}/" in str(refusal(text))


COMMIT, SHA = "0" * 40, "0" * 64
REPO = "repository: 'https://github.com/a/b'"
REFUSED = {
    "branch": (f"open_code: {{status: yes, {REPO}, commit: main}}", "a branch or a tag"),
    "short commit": (f"open_code: {{status: yes, {REPO}, commit: '0000000'}}", "whole commit"),
    "no commit": (f"open_code: {{status: yes, {REPO}}}", "add repository and commit"),
    "branch address": ("splits: {status: yes, evidence: {url: 'https://github.com/a/b/blob/main'}}", "add the sha256"),
    "file that may change": ("splits: {status: yes, evidence: {file: /app/x}}", "add the sha256"),
    "repository alone": (f"splits: {{status: yes, evidence: {{{REPO}}}}}", "a branch moves"),
    "two places": (f"splits: {{status: yes, evidence: {{file: /x, doi: 10.1234/x, sha256: '{SHA}'}}}}", "one place"),
    "no place": ("splits: {status: yes, evidence: {quote: 'five folds of families'}}", "one place"),
    "a letter": (f"splits: {{status: yes, evidence: {{file: /x, sha256: '{SHA}', quote: a}}}}", "at least 20"),
    "two words": (f"splits: {{status: yes, evidence: {{doi: 10.1234/x, quote: '{'word ' * 9}x'}}}}", "3 different"),
    "DOI as an address": ("splits: {status: yes, evidence: {doi: 'https://doi.org/10.1234/x'}}", "without https"),
    "no reason": ("splits: {status: partial}", "add a reason"),
    "n. a. without a reason": ("weights: {status: not_applicable}", "add a reason"),
    "lock without a hash": ("software: {status: yes, lock_file: /app/r.txt}", "lock_file and sha256 together"),
    "yes without a lock": ("software: {status: yes}", "add lock_file"),
    "yes without sets": ("open_data: {status: yes}", "add sets"),
    "another version": ("card: 2", "given twice"),
    "unknown variable": ("weight: {status: yes}", "Known are: card, research_type"),
    "unknown word": ("determinism: mostly", "Known are: exact, tolerance, stochastic"),
    "javascript": ("open_code: {status: yes, repository: 'javascript:alert(1)', commit: x}", "https://"),
    "private address": ("open_code: {status: yes, repository: 'https://127.0.0.1/a/b', commit: x}", "https://"),
    "metadata of a cloud": ("open_code: {status: yes, repository: 'https://169.254.169.254/a', commit: x}", "https://"),
    "localhost": ("open_code: {status: yes, repository: 'https://localhost/a/b', commit: x}", "https://"),
    "user in the address": ("open_code: {status: yes, repository: 'https://x@evil.org/a', commit: x}", "user name"),
    "query": ("open_code: {status: yes, repository: 'https://github.com/a/b?x=1', commit: x}", "own address"),
    "up the tree": ("open_code: {status: yes, repository: 'https://github.com/../a', commit: x}", "own address"),
    "path up the tree": (
        f"splits: {{status: yes, evidence: {{{REPO}, commit: '{COMMIT}', path: ../x}}}}",
        "path in the repository",
    ),
    "image path up the tree": (f"software: {{status: yes, lock_file: /app/../x, sha256: '{SHA}'}}", "whole path"),
    "relative image path": (f"software: {{status: yes, lock_file: app/x, sha256: '{SHA}'}}", "whole path"),
    "long reason": (f"splits: {{status: no, reason: {'x' * 201}}}", "at most 200"),
    "long quote": (f"splits: {{status: yes, evidence: {{doi: 10.1234/x, quote: {'x' * 201}}}}}", "at most 200"),
    "many sets": (f"open_data: {{status: no, reason: x, sets: [{'a,' * 31}]}}", "mapping"),
    "escape in a reason": ('splits: {status: no, reason: "\\e[31m"}', "remove them"),
    "text turned round": ('splits: {status: no, reason: "\\u202e"}', "remove them"),
    "bomb": ("splits: &a {status: no, reason: *a}", "Write it out"),
    "deep": ("splits: {status: no, reason: [[[[[[[x]]]]]]]}", "Flatten"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_card_that_cannot_be_held_to_anything_is_refused(case: str) -> None:
    text, remedy = REFUSED[case]
    assert remedy in str(refusal(text)), refusal(text)


def test_the_guides_example_is_a_card_with_every_variable() -> None:
    guide = (ROOT / "BENCHMARK_SUBMISSION_GUIDE.md").read_text()
    [example] = [b.partition("```")[0] for b in guide.split("```yaml\n")[1:] if b.startswith("reproducibility:")]
    card = parse(MINIMAL.encode() + example.replace("<64 of 0-9 and a-f>", SHA).encode(), "my-model").card
    assert card is not None
    assert {name for name in Card.model_fields if getattr(card, name) is None} == {"predictions"}


def test_markup_in_a_reason_is_plain_text() -> None:
    card = read({"card": 1, "splits": {"status": "no", "reason": "<script>alert(1)</script>"}}).card
    assert card is not None and card.splits and card.splits.reason == "<script>alert(1)</script>"


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from([*Card.model_fields, "free"]), ANY_VALUE, max_size=4))
def test_any_card_is_read_or_refused(values: dict[str, Any]) -> None:
    data = MINIMAL + yaml.safe_dump({"reproducibility": {**CARD, **values}}, allow_unicode=True)
    check_any(data.encode("utf-8", "surrogatepass"))
