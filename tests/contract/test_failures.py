"""What the site says of a failure code is what the guide says."""

from __future__ import annotations

import re

from evaluator.contract.failures import ADVICE, advice
from tests.conftest import ROOT


def test_the_sites_advice_is_that_of_the_guide() -> None:
    text = (ROOT / "BENCHMARK_SUBMISSION_GUIDE.md").read_text().partition("## When something goes wrong")[2]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {
        code: (meaning.partition("; e.g.")[0], remedy)
        for codes, meaning, remedy in rows
        for code in re.findall(r"`([A-Z_]+)", codes)
    }
    assert {code: told.get(code) for code in ADVICE} == ADVICE


def test_a_code_is_looked_up_without_its_detail() -> None:
    assert advice("BAD_FORMAT:NAN") == ADVICE["BAD_FORMAT"]
    assert advice("TIMEOUT") and advice("NEW_CODE") is None and advice(None) is None
