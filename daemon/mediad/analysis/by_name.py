"""Groups by name, for files that no visual cluster took. Part of the clustering process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.cluster import DBSCAN
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from mediad.analysis.clusters import NOISE, tidy
from mediad.analysis.words import folder_words, stem_words

_REACH = 0.4  # cosine distance within which two names are alike: a shared word out of two, or a plural
_WORD_WEIGHT, _CHARACTER_WEIGHT, _FOLDER_WEIGHT = 1.0, 1.0, 0.7
_MOST_TEXTS = 20_000  # every pair is compared; beyond this only names of the same words are put together

_Text = tuple[str, str]  # words of the stem, words of the innermost folder that has any


def group_by_name(paths: Sequence[str], least: int) -> NDArray[np.int32]:
    """Group files whose names and folders hold like words.

    Args:
        paths: relative to their volumes, in an order that stays the same (by content id, say).
        least: the least number of files in a group.

    Returns:
        (len(paths),) int32, the largest group first; -1 for files in none, among them all whose name is only a
        camera's counter, a hash or digits.
    """
    texts = [_text(path) for path in paths]
    counts = Counter(text for text in texts if text is not None)
    unique = sorted(counts)
    if not unique:
        return np.full(len(paths), NOISE, np.int32)
    groups = dict(zip(unique, _groups(unique, [counts[text] for text in unique], least), strict=True))
    labels = np.array([NOISE if text is None else groups[text] for text in texts], np.int32)
    return tidy(labels, least)


def _text(path: str) -> _Text | None:
    pure = PurePosixPath(path)
    words = stem_words(pure.name)
    folders = folder_words(pure.parent.parts)
    return (" ".join(words), " ".join(folders[-1]) if folders else "") if words else None


def _groups(texts: Sequence[_Text], counts: Sequence[int], least: int) -> NDArray[np.int32]:
    if len(texts) > _MOST_TEXTS:
        return np.arange(len(texts), dtype=np.int32)
    model = DBSCAN(eps=_REACH, min_samples=least, metric="cosine")
    return np.asarray(model.fit_predict(_vectors(texts), sample_weight=counts), np.int32)


def _vectors(texts: Sequence[_Text]) -> csr_matrix:
    """TF-IDF of words, of runs of 3 to 5 characters and of the folder's words, each of unit length before weighting."""
    stems, folders = zip(*texts, strict=True)
    words = TfidfVectorizer(analyzer=str.split).fit_transform(stems)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit_transform(stems)
    blocks = [_WORD_WEIGHT * words, _CHARACTER_WEIGHT * characters]
    if any(folders):
        blocks.append(_FOLDER_WEIGHT * TfidfVectorizer(analyzer=str.split).fit_transform(folders))
    return normalize(hstack(blocks).tocsr())
