"""What counts as resident does not grow with the library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mediad.engine import memory
from mediad.store import Store

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_the_store_that_was_looked_at_is_let_go_of(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number in range(40):
            with store.write() as tx:
                tx.raw.put("fragments", number.to_bytes(12, "big"), bytes([number]) * MIB)

        def look() -> int:
            with store.read() as tx:
                return sum(value[-1] for _, value in tx.raw.items("fragments"))

        seen = look()
        resident = memory._mapped_bytes()
        assert not memory.let_go_of(store.file, resident + MIB), "as long as it is little, it stays"
        assert memory._mapped_bytes() >= resident
        assert memory.let_go_of(store.file, 0)
        assert memory._mapped_bytes() < resident - 30 * MIB
        assert look() == seen
