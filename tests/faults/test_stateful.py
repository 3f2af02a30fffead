"""Everything at once: files, drives, permissions, configuration, kills, in an order that hypothesis chooses.

The same few sequences each time, which find each of the planted bugs. `MEDIAD_EXAMPLES=2000` tries so many others, for
a night, and makes shorter what fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test
from tests.faults.machine import Machine
from tests.faults.planted import BUGS
from tests.faults.unprivileged import need_permissions
from tests.faults.wards import nursery

MORE = int(os.environ.get("MEDIAD_EXAMPLES", "0"))
_FEW, _STEPS, _SEED = 14, 25, 13

pytestmark = [pytest.mark.long, pytest.mark.timeout(300 + 30 * MORE)]


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    need_permissions()
    with nursery(tmp_path_factory.mktemp("nursery")) as path:
        yield path


class Sequences:
    """The machine with a bug planted, or with none."""

    def __init__(self, socket: Path, base: Path, bug: str = "") -> None:
        own = {"nursery": socket, "base": base, "planted": bug, "sequences": 0, "found": []}
        self.machine: type[Machine] = type("Sequence", (Machine,), own)

    def run(self, more: int = 0, seed: int = _SEED) -> None:
        """The few that are always the same, or so many others."""
        machine = self.machine if more else hypothesis.seed(seed)(self.machine)
        shrink = (hypothesis.Phase.shrink,) if more else ()
        settings = hypothesis.settings(
            max_examples=more or _FEW,
            stateful_step_count=_STEPS,
            phases=(hypothesis.Phase.generate, *shrink),
            derandomize=False,  # the library's own setting where CI is set, which would pass over the seed
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        run_state_machine_as_test(machine, settings=settings)


def test_whatever_happens_the_daemon_is_right(socket: Path, tmp_path: Path) -> None:
    sequences = Sequences(socket, tmp_path)
    sequences.run(MORE)
    print(f"{sequences.machine.sequences} sequences")


@pytest.mark.parametrize("bug", BUGS)
def test_it_finds(bug: str, socket: Path, tmp_path: Path) -> None:
    sequences = Sequences(socket, tmp_path, bug)
    for seed in range(_SEED, _SEED + 3):  # on a busy machine what must happen at one moment may not, the first time
        with suppress(AssertionError, Flaky):
            sequences.run(seed=seed)
        if sequences.machine.found:
            break
    assert sequences.machine.found, "it was never found"
    first = sequences.machine.found[0]
    assert re.search(BUGS[bug].symptom, first), first
    print(f"{bug}: found in sequence {sequences.machine.sequences - 1}: {first}")  # the last one was a repetition
