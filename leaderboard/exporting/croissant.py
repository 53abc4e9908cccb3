"""Each track as a Croissant description with the fields for responsible AI; of a hidden one no table and no hash.

Croissant 1.1, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html, and Croissant RAI 1.0,
https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from evaluator.contract.families import RULES
from evaluator.contract.task_types import KINDS
from evaluator.contract.tracks import Track
from evaluator.integrity import disclosure
from leaderboard.data import as_json
from leaderboard.exports import CONTRIBUTORS, KEYWORDS, Published, sources

TITLE = "Croissant 1.1 with RAI 1.0"
STANDARD = "https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html"
WHAT = "each dataset: its tables, their hashes, what they may be used for; of a hidden one no table and no hash"
PATHS = "exports/croissant/{track}.json"

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The standard's own, and `prov`."""
USES = [
    "Ranking predictors of antibody polyreactivity that never saw these labels, with intervals and paired tests.",
    "Not for a decision on a single candidate, not as a measure of safety or efficacy in people, and not as training "
    "data of a model that is then scored on them.",
]
SOCIAL = (
    "Better prediction of polyreactivity spares experiments, and candidates that would fail late. A wrong prediction "
    "may drop a good candidate, and a difference that is noise may be taken for progress; hence the intervals. No use "
    "of these data that does harm is known to the maintainers."
)
PERSONAL = (
    "None in the tables: names of antibodies, amino-acid sequences and assay values. No column names or describes a "
    "donor. Where antibodies come from people's cells, the source states the terms of their collection."
)
MAINTENANCE = (
    "Rows and ids of a dataset stay as they are; other rows make a new one. Corrected labels change the hash, and "
    "every score is computed again. A dataset that is closed keeps its page."
)
Json = dict[str, Any]


def files(published: Published) -> Iterable[tuple[str, bytes]]:
    """One description for each track."""
    first: dict[str, str] = {}
    for change in published.history:
        first[change.track] = min(change.date, first.get(change.track, change.date))
    for board in published.boards:
        described = description(board.track, published, first.get(board.track.id))
        yield PATHS.format(track=board.track.id), as_json(described)


def description(track: Track, published: Published, since: str | None) -> Json:
    """A track's description.

    Args:
        since: the day on which it was first shown, YYYY-MM-DD; None where nobody has been scored on it.
    """
    addresses = sources(track)
    found: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": track.title,
        "alternateName": track.id,
        "description": track.summary,
        "keywords": KEYWORDS,
        "inLanguage": "en",
        "license": _licence(track.licence),
        "citeAs": track.source.citation,
        "creator": {"@type": "Organization", "name": _creator(track)},
        "publisher": {"@type": "Organization", "name": CONTRIBUTORS},
        "version": "1.0.0",
        **_responsible(track),
    }
    if since:
        found["datePublished"] = since
    if url := published.page(f"datasets/{track.id}/index.html") or next(iter(addresses), None):
        found["url"] = url
    if addresses:
        found["prov:wasDerivedFrom"] = [{"@id": address} for address in addresses]
    if disclosure.is_hidden(track):
        return found  # a hash of labels would confirm a guess of them, and the sequences' one a guess of these
    found["distribution"] = [_file(track, name) for name, sha256 in _hashes(track) if sha256]
    found["recordSet"] = [_records(track, name) for name, sha256 in _hashes(track) if sha256]
    return found


def _responsible(track: Track) -> Json:
    synthetic = track.purpose == "practice"
    share = f" {track.classes.positive:,} of {track.n:,} rows are positive." if track.classes else ""
    return {
        "rai:dataCollection": f"{track.source.citation}. Assay: {track.assay}.",
        "rai:dataCollectionType": ["Software Collection"] if synthetic else ["Experiments", "Secondary Data Analysis"],
        "rai:dataAnnotationProtocol": [track.label_rule],
        "rai:dataPreprocessingProtocol": [
            f"`apb prepare {track.id}` makes both tables of the published files, the same bytes every time.",
            *([f"Families: {track.families}"] if track.families else []),
        ],
        "rai:dataBiases": [
            f"Antibodies: {track.species}; {track.chains}. Assay: {track.assay}. What holds for these need not hold "
            f"for other origins, formats or assays.{share}"
        ],
        "rai:dataLimitations": list(track.known_problems) or ["None is known to the maintainers."],
        "rai:dataUseCases": USES,
        "rai:dataSocialImpact": SOCIAL,
        "rai:personalSensitiveInformation": [PERSONAL],
        "rai:dataReleaseMaintenancePlan": MAINTENANCE,
        "rai:hasSyntheticData": synthetic,
    }


def _creator(track: Track) -> str:
    return CONTRIBUTORS if track.purpose == "practice" else f"The authors of: {track.source.citation}"


def _hashes(track: Track) -> list[tuple[str, str | None]]:
    return [("sequences", track.sha256.sequences), ("labels", track.sha256.labels)]


def _file(track: Track, table: str) -> Json:
    sha256 = dict(_hashes(track))[table]
    return {
        "@type": "cr:FileObject",
        "@id": f"{table}.csv",
        "name": f"{table}.csv",
        "description": f"Made by `apb prepare {track.id}`, and not passed on here: name yours in a mapping.",
        "contentUrl": f"{track.id}/{table}.csv",
        "encodingFormat": "text/csv",
        "sha256": sha256,
    }


def _records(track: Track, table: str) -> Json:
    columns = _columns(track)[table]
    key = [name for name in ("sequence_id", "assay") if name in columns]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table}/{name}",
            "name": name,
            "description": what,
            "dataType": kind,
            "source": {"fileObject": {"@id": f"{table}.csv"}, "extract": {"column": name}},
        }
        for name, (kind, what) in columns.items()
    ]
    if table == "labels" and track.sha256.sequences:
        fields[0]["references"] = {"field": {"@id": "sequences/sequence_id"}}
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "key": [{"@id": f"{table}/{name}"} for name in key],
        "field": fields,
    }


def _columns(track: Track) -> dict[str, dict[str, tuple[str, str]]]:
    """Of each table its columns, with their types and what they hold."""
    kind = KINDS[track.task]
    sequences = {"sequence_id": ("sc:Text", "An antibody"), "sequence": ("sc:Text", "Heavy variable domain")}
    if track.chains in {"VH+VL", "mixed"}:
        sequences["light_sequence"] = ("sc:Text", "Light variable domain; empty for nanobodies")
    labels = {"sequence_id": ("sc:Text", "An antibody")}
    if track.few_shot:
        labels["assay"] = ("sc:Text", "What was measured")
    labels[kind.truth] = ("sc:Integer" if kind.has_classes else "sc:Float", track.label_rule)
    if track.families and track.families not in RULES:  # a rule makes them of the sequences: there is no column
        labels["family"] = ("sc:Text", track.families)
    return {"sequences": sequences, "labels": labels}


def _licence(text: str) -> str:
    """The address of a licence that SPDX knows; else what the track's file says in words."""
    try:
        known = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return text
    return f"https://spdx.org/licenses/{known}.html" if " " not in known else known
