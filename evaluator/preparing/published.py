"""Where each track's published files come from, under which licence, and what makes the track of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator.preparing import few_shot, sources
from evaluator.preparing.sources import Prepared

HARVEY = (
    "https://raw.githubusercontent.com/debbiemarkslab/nanobody-polyreactivity/"
    "e0f0a31943564bf43a3c62164eaf0837775d0f04/backend/app/experiments/"
)


@dataclass(frozen=True)
class File:
    """One published file: the beginning of its sha256, or of its id as a git blob."""

    name: str
    sha256: str = ""
    blob: str = ""


@dataclass(frozen=True)
class Source:
    """One track's published files.

    Attributes:
        make: turns the folder that holds them into the track's tables.
        address: of the folder on the web, with a slash at the end; empty where no licence allows a download.
        files: that are downloaded.
        ask: whom to ask for them, and what they are called, where they cannot be downloaded.
    """

    make: Callable[[Path], Prepared]
    address: str = ""
    files: tuple[File, ...] = ()
    licence: str = ""
    ask: str = ""


SOURCES = {
    "jain": Source(
        make=sources.jain,
        ask="Jain et al. 2017, PNAS 114:944, doi 10.1073/pnas.1616408114: the supplement, or its authors. The subset "
        "of 86 antibodies comes as a table id,vh_sequence,vl_sequence,label, named jain_86*.csv.",
    ),
    "shehata": Source(
        make=sources.shehata,
        ask="Shehata et al. 2019, Cell Reports 28:3300, doi 10.1016/j.celrep.2019.08.056: the supplement, or its "
        "authors. It comes as VH_only_shehata.csv and VL_only_shehata.csv, each id,sequence,label.",
    ),
    "jain137": Source(
        make=sources.jain137,
        ask="Jain et al. 2017, PNAS 114:944, doi 10.1073/pnas.1616408114: the supplement itself, "
        "pnas.1616408114.sd02.xlsx (sequences) and pnas.1616408114.sd03.xlsx (results of twelve assays).",
    ),
    "shehata-psr": Source(
        make=sources.shehata_psr,
        ask="Shehata et al. 2019, Cell Reports 28:3300, doi 10.1016/j.celrep.2019.08.056: the supplement, or its "
        "authors. The same files as of shehata; the column psr_score counts.",
    ),
    "gdpa1": Source(
        make=sources.gdpa1,
        ask="Ginkgo Datapoints, GDPa1 v1.2 (huggingface.co/datasets/ginkgo-datapoints/GDPa1): register there and "
        "accept its terms. It comes as GDPa1_v1.2_20250814.csv.",
    ),
    "harvey1k": Source(
        make=sources.harvey1k,
        ask="A random sample of the two pools of Harvey et al. 2022, Nature Communications 13:7554 (MIT), published by "
        "a later work; it comes as harvey_sample_1000.csv, sequence_id,sequence,label.",
    ),
    "fewshot-poly": Source(
        make=few_shot.poly,
        ask="The files of jain137, gdpa1, shehata-psr and vhh48, all in one folder.",
    ),
    "fewshot-cr6261": Source(
        make=few_shot.cr6261,
        ask="Phillips et al. 2021, eLife 10:e71393, doi 10.7554/eLife.71393: the combinations of the 11 heavy-chain "
        "mutations of CR6261 with their affinity to H1, as cr6261_h1.csv: mutant,mutated_sequence,DMS_score.",
    ),
    "vhh48": Source(
        make=sources.vhh48,
        address=HARVEY,
        files=(
            File(
                "low_throughput_polyspecificity_scores_w_exp.csv",
                sha256="dace0c41e6b51f54bd4ebb77d581950aff2ccda9f044a72d681a42a724f8e395",
            ),
        ),
        licence="MIT",
    ),
    "harvey": Source(
        make=sources.harvey,
        address=HARVEY,
        files=(
            File("high_polyreactivity_high_throughput.csv", blob="0d56825e"),
            File("low_polyreactivity_high_throughput.csv", blob="6532c700"),
        ),
        licence="MIT",
    ),
}


def known_as(names: Sequence[str]) -> str | None:
    """Under which of a track's ids, today's and earlier ones, its source is known."""
    return next((name for name in names if name in SOURCES), None)
