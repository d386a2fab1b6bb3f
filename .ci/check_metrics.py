"""Compare the metrics of a fresh run with the committed ones: ``python .ci/check_metrics.py [revision]``.

Machines differ in the last bits of a matrix product (bfloat16 or float32, one BLAS or another), and training carries
that on, so a figure may move a little. How little is stated in ``TOLERANCES``, the first rule that matches counting.
"""

from __future__ import annotations

import fnmatch
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexivert.stages.headline import FIGURES


@dataclass(frozen=True)
class Rule:
    """Which figures may differ, and how far.

    Attributes:
        pattern: matched against ``stage.section.name`` as a shell pattern.
        absolute: allowed difference.
        relative: allowed difference as a share of the committed value; the wider of the two counts.
    """

    pattern: str
    absolute: float = 0.0
    relative: float = 0.0


ANY = math.inf
DECISIVE = ("width_192", "cosine_0.8", "cosine_0.7")
"""Conditions of the robustness sweep where the cascade has ``robustness.decisive_texts`` texts (params.yaml), and the
decoders beside it ``robustness.compared_texts``."""
TOLERANCES = (
    # Speeds and sizes of the machine: never the same twice.
    Rule("*.rates.*", absolute=ANY),
    Rule("*per_second*", absolute=ANY),
    Rule("*seconds*", absolute=ANY),
    Rule("*memory*", absolute=ANY),
    # Counting is exact.
    Rule("fetch.*"),
    Rule("corpus.*"),
    Rule("vocab.*"),
    Rule("lexical_maps.*"),
    Rule("features.*"),
    # Texts at the edge of what can be read: the same texts and noise on every machine, so that only the few fall on
    # the other side that stand just there: 5 of 100 where a release is judged, 4 of 50 beside it, 2 of 20 elsewhere.
    Rule("robustness.*.texts"),
    *(Rule(f"robustness.{condition}.cascade.*", absolute=0.05) for condition in DECISIVE),
    *(Rule(f"robustness.{condition}.*", absolute=0.08) for condition in DECISIVE),
    Rule("robustness.*_low", absolute=0.13),  # of 20 texts, a bound moves faster than the share
    Rule("robustness.*_high", absolute=0.13),
    Rule("robustness.*", absolute=0.1),
    Rule("evaluate.confidence.*", absolute=0.05),
    Rule("evaluate.*.source.*.texts"),
    Rule("evaluate.clean.cascade.source.*exact_match", absolute=0.02),  # of eighty texts, one is .0125
    Rule("evaluate.*.source.*", absolute=0.05),  # some eighty texts of a source: one is a hundredth, a bound more
    Rule("controller.calibration.*", absolute=0.05),
    Rule("selector.last.partition", relative=0.3),  # near 0: the square of what training drives to 0
    Rule("selector.last.*", relative=0.1),  # means of ten steps that a rounding error in the first has changed
    Rule("selector.valid_nats_a_unit.*", relative=0.02),
    # Trained and measured.
    Rule("*loss*", relative=0.05),
    Rule("evaluate.clean.cascade.*exact*", absolute=0.01),
    Rule("evaluate.clean.cascade.*accuracy*", absolute=0.01),
    Rule("*exact*", absolute=0.03),  # baselines and noise: near the threshold of what can be read, so less steady
    Rule("*accuracy*", absolute=0.03),
    Rule("*bleu*", absolute=1.0),
    Rule("*chrf*", absolute=1.0),
    Rule("*cosine*", absolute=0.02),
    Rule("*", absolute=0.02, relative=0.05),
)


def flatten(content: Any, prefix: str) -> dict[str, float | str]:
    """Nested metrics as dotted names to values."""
    if not isinstance(content, dict):
        return {prefix: content}
    return {key: value for name, part in content.items() for key, value in flatten(part, f"{prefix}.{name}").items()}


def rule_for(name: str) -> Rule:
    """The first rule that matches; a headline figure has the rule of the one that it is a copy of."""
    name = source_of(name)
    return next(rule for rule in TOLERANCES if fnmatch.fnmatchcase(name, rule.pattern))


def source_of(name: str) -> str:
    """The figure that a headline figure is a copy of; any other is its own."""
    stage, _, figure = name.partition(".")
    copies = {f"exact_match_{condition}": f"robustness {condition} cascade exact_match" for condition in DECISIVE}
    place = (copies | FIGURES).get(figure) if stage == "headline" else None
    return name if place is None else place.replace(" ", ".")


def agrees(name: str, committed: float | str, fresh: float | str) -> bool:
    """Whether a figure is within its tolerance; strings (signatures) must be equal."""
    if isinstance(committed, str) or isinstance(fresh, str):
        return committed == fresh
    rule = rule_for(name)
    return abs(fresh - committed) <= max(rule.absolute, rule.relative * abs(committed))


def differences(committed: dict[str, float | str], fresh: dict[str, float | str]) -> list[str]:
    """One line for every figure that is missing, new or out of its tolerance."""
    lines = [f"{name}: committed, but not reproduced" for name in sorted(committed.keys() - fresh.keys())]
    lines += [f"{name}: reproduced, but not committed" for name in sorted(fresh.keys() - committed.keys())]
    for name in sorted(committed.keys() & fresh.keys()):
        if not agrees(name, committed[name], fresh[name]):
            rule = rule_for(name)
            allowed = f"± {rule.absolute:g} or {rule.relative:.0%}"
            lines.append(f"{name}: committed {committed[name]}, reproduced {fresh[name]}, allowed {allowed}")
    return lines


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607


def read_committed(revision: str) -> dict[str, float | str]:
    """Metrics of all stages at a revision."""
    names = _git("ls-tree", "--name-only", revision, "metrics/").split()
    files = [Path(name) for name in names if name.endswith(".json")]
    parts = [flatten(json.loads(_git("show", f"{revision}:{file.as_posix()}")), file.stem) for file in files]
    return {name: value for part in parts for name, value in part.items()}


def read_fresh(folder: Path) -> dict[str, float | str]:
    """Metrics of all stages in a folder."""
    parts = [flatten(json.loads(file.read_text(encoding="utf-8")), file.stem) for file in folder.glob("*.json")]
    return {name: value for part in parts for name, value in part.items()}


def main() -> int:
    """Compare and report.

    Returns:
        0 if all agree, 1 if not or if nothing is committed.
    """
    revision = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    committed = read_committed(revision)
    if not committed:
        sys.stderr.write(f"error: {revision} holds no metrics/*.json to compare with\n")
        return 1
    lines = differences(committed, read_fresh(Path("metrics")))
    for line in lines:
        sys.stderr.write(f"differs: {line}\n")
    sys.stdout.write(f"{len(committed)} committed figures, {len(lines)} out of tolerance\n")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
