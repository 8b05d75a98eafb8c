"""Programs made of the modules of Kubernetes and Flux, which judge what `fleet check` judges."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.process import run
from sandbox.build import parts


def answers(program: str, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the answer of a program to each question."""
    lines = "".join(f"{json.dumps(question)}\n" for question in questions)
    found = run([parts.program(program)], timeout=120, stdin=lines).splitlines()
    assert len(found) == len(questions)
    return [json.loads(line) for line in found]
