"""Which licence a file has the text of, and what that says of a card that names one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.checking import observing
from evaluator.contract import tracks
from evaluator.contract.observed import NOTHING_SEEN, Observed
from evaluator.contract.submissions import Submission
from evaluator.integrity.card import held
from evaluator.integrity.licences import recognised, says
from evaluator.store.results import Results
from tests.conftest import ROOT
from tests.support.forges import forge

TRACKS = tracks.load_all(ROOT / "test_data" / "tracks")
COMMIT = "0123456789" * 4
REPOSITORY = "https://github.com/a/b"
MIT = b"""MIT License

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files, to deal in the Software.
The above copyright notice and this permission notice shall be included."""
APACHE = b"                                 Apache License\n                           Version 2.0, January 2004\n"
BSD = b"Redistribution and use in source and binary forms, with or without modification,\nare permitted provided that"
GPL = b"### GNU GENERAL PUBLIC LICENSE\n\nVersion 3, 29 June 2007"
BSD3 = BSD + b" the name of nobody may be used to endorse or promote products"
NC = b"# Creative Commons\nAttribution-NonCommercial 4.0 International"
LABELS = {"org.opencontainers.image.revision": COMMIT, "org.opencontainers.image.source": REPOSITORY}
LICENSED = {**LABELS, "org.opencontainers.image.licenses": "MIT"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (MIT, {"MIT"}),
        (APACHE, {"Apache-2.0"}),
        (BSD, {"BSD-2-Clause"}),
        (BSD3, {"BSD-3-Clause"}),
        (BSD3 + b" All advertising materials mentioning", set()),
        (GPL, {"GPL-3.0"}),
        (b"GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991", {"GPL-2.0"}),
        (b"GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007", {"AGPL-3.0"}),
        (b"GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999", {"LGPL-2.1"}),
        (b"Mozilla Public License Version 2.0\n=====\n1.4. \"Covered Software\"", {"MPL-2.0"}),
        (b"Creative Commons\nAttribution 4.0 International", {"CC-BY-4.0"}),
        (NC, {"CC-BY-NC-4.0"}),
        (b"Licensed under the MIT License", set()),
        (b"\xff\x00", set()),
    ],
)  # fmt: skip
def test_a_text_is_known_by_its_phrases(content: bytes, found: set[str]) -> None:
    assert recognised(content) == found


@pytest.mark.parametrize(
    ("content", "expression", "holds"),
    [
        (MIT, "MIT", True),
        (GPL, "GPL-3.0-or-later", True),
        (GPL, "GPL-3.0-only WITH Classpath-exception-2.0", True),
        (MIT + APACHE, "MIT OR Apache-2.0", True),
        (GPL, "MIT", False),
        (NC, "CC-BY-4.0", False),
        (MIT, "MIT OR Apache-2.0", None),
        (MIT + APACHE, "MIT", None),
        (GPL, "LGPL-3.0-or-later", None),  # GNU's way: COPYING is the GPL's text
        (BSD3, "BSD-3-Clause-Clear", None),  # a text that is not known here
        (b"as you like it", "MIT", None),
    ],
)
def test_a_file_says_what_is_named_or_another_or_neither(content: bytes, expression: str, holds: bool | None) -> None:
    assert says(content, expression) is holds


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=500), st.sampled_from(["MIT", "GPL-2.0-only", "LicenseRef-x AND MIT"]))
def test_any_bytes_say_something_or_nothing(content: bytes, expression: str) -> None:
    assert says(content, expression) in (True, False, None)


@pytest.mark.parametrize(
    ("labels", "name", "status", "content", "expected"),
    [
        (LABELS, "LICENSE", 200, MIT, "verified"),
        (LABELS, "COPYING", 200, MIT, "verified"),
        (LABELS, "LICENSE.md", 200, GPL, "contradicted"),
        (LICENSED, "LICENSE", 200, GPL, "contradicted"),
        (LICENSED, "LICENSE", 404, b"", "verified"),
        (LABELS, "LICENSE", 404, b"", "declared"),
        (LABELS, "LICENSE", 500, b"", "declared"),
        (LABELS, "LICENSE", 200, b"as you like it", "declared"),
    ],
)
def test_a_licence_is_held_against_the_file_at_the_commit(
    labels: dict[str, str], name: str, status: int, content: bytes, expected: str, tmp_path: Path
) -> None:
    code = {"status": "yes", "repository": REPOSITORY, "commit": COMMIT}
    entry = Submission.model_validate(
        {"id": "my-model", "name": "x", "author": "x", "license": "MIT", "docker_image": "docker.io/a/b:1",
         "reproducibility": {"card": 1, "open_code": code}}
    )  # fmt: skip
    assert entry.card is not None
    with forge() as server:
        server.answers[f"/a/b/commit/{COMMIT}"] = (200, {}, b"")
        server.answers[f"/a/b/{COMMIT}/{name}"] = (status, {}, content)
        seen = observing.of_elsewhere(entry, entry.card, Results(tmp_path), NOTHING_SEEN, server.lookup())
    found = held(entry, TRACKS.values(), Observed(labels=labels, commit=seen.commit, license_file=seen.license_file))
    assert found["open_code"].outcome == expected, found["open_code"]
    if expected == "contradicted":
        assert f"{name} at the commit has the text of GPL-3.0, the card says MIT" in found["open_code"].detail
    if expected == "declared":
        assert "the licence was not checked" in found["open_code"].detail
