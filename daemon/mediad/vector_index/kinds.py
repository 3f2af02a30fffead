"""The kinds of FAISS index that we use. FAISS is imported here only, when first needed: idling costs none of it.

All kinds are flat: a search compares with every vector. That is exact in which vectors it visits, whatever the query:
text queries lie far from all pictures, and lists of an inverted file that were tuned on pictures miss for them.
Flat codes also let a removal be a move of one row (FAISS's own `remove_ids` shifts all that follow: 30 to 90 ms at
100,000 x 512). Eight-bit codes are visited at 28 ms a query at 1,000,000 x 512 on two cores, in 512 MB.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from mediad.vector_index.vectors import Floats, Ids

if TYPE_CHECKING:
    from typing import BinaryIO

Codes = npt.NDArray[np.uint8]
Hits = tuple[Floats, Ids]

_BUFFER = 1 << 20
_WIDER = 0.1  # 8-bit ranges reach this share beyond what was seen in training: what comes later may lie outside


class Kind(enum.StrEnum):
    """How vectors are kept: float32; float16, which is all that the store has; 8 bits, which needs exact ranking."""

    FLAT = "flat"
    HALF = "fp16"
    BYTE = "sq8"


def faiss() -> Any:  # its module carries no types
    """The FAISS module."""
    import faiss

    return faiss


def version() -> str:
    return str(faiss().__version__)


def empty(kind: Kind, dimensions: int, sample: Floats | None = None) -> Any:
    """An empty index of inner products; `sample`, float32 (n, dimensions), gives eight-bit codes their ranges."""
    library = faiss()
    if kind is Kind.FLAT:
        return library.IndexFlatIP(dimensions)
    quantizer = library.ScalarQuantizer
    code = quantizer.QT_8bit if kind is Kind.BYTE else quantizer.QT_fp16
    index = library.IndexScalarQuantizer(dimensions, code, library.METRIC_INNER_PRODUCT)
    index.sq.rangestat_arg = _WIDER
    if sample is not None:
        index.train(sample)
    return index


def codes(index: Any) -> Codes:
    """The index's own codes, uint8 (n, bytes a vector), writable in place; void after the next add or removal."""
    flat = faiss().rev_swig_ptr(index.codes.data(), index.ntotal * index.code_size)
    return cast("Codes", flat.reshape(index.ntotal, index.code_size))


def encode(index: Any, vectors: Floats) -> Codes:
    """What `index` would keep of `vectors`, uint8 (n, bytes a vector)."""
    return cast("Codes", index.sa_encode(vectors))


def cut(index: Any, count: int) -> None:
    """Drop all vectors from position `count` on."""
    index.remove_ids(faiss().IDSelectorRange(count, index.ntotal))


def search(index: Any, queries: Floats, k: int, allowed: npt.NDArray[np.bool_] | None) -> Hits:
    """The `k` nearest positions of each query, (m, k), best first, -1 where there are fewer.

    `allowed` (bool, one for each position) limits the search to some positions.
    """
    if allowed is None:
        return cast("Hits", index.search(queries, k))
    library = faiss()
    selector = library.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    return cast("Hits", index.search(queries, k, params=library.SearchParameters(sel=selector)))


def write(index: Any, sink: Callable[[bytes], int]) -> None:
    """Serialize `index` in pieces of up to 1 MiB."""
    library = faiss()
    library.write_index(index, library.PyCallbackIOWriter(sink, _BUFFER))


def read(file: BinaryIO) -> Any:
    """What `write` wrote; RuntimeError where it is something else. Only for bytes whose hash was checked."""
    library = faiss()
    return library.read_index(library.PyCallbackIOReader(file.read, _BUFFER))
