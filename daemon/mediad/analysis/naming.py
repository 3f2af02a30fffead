"""Names and tags of clusters, from the words in their members' paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mediad.analysis.words import folder_name, folder_words, stem_words

_SHARE = 0.4  # of the members that must carry a word before the cluster is called by it
_TAG_SHARE = 0.2
_LIFT = 2.0  # how much commoner a word must be inside the cluster than outside
_TAGS = 5
_NAME_TAGS = 2  # that make a name where no word is shared by enough members
_NAMELESS = "Cluster"
_WHOLE = 0.8  # a phrase ("car side") is preferred to a word of it when it has this share of the word's score

_Term = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a cluster is called, and the words that tell it from the others, the most telling first."""

    name: str
    tags: tuple[str, ...]


def name_clusters(clusters: Sequence[Sequence[str]], others: Iterable[str]) -> list[Named]:
    """Name clusters by words that are common in them and rare outside.

    Args:
        clusters: for each cluster the paths of its members, relative to their volumes, one a member.
        others: paths of the assets in no cluster.

    Returns:
        One for each cluster, in order. One that no word tells from the others is called by its first tags, else by
        the folder of most of its members, else "Cluster". Names are unique: a name that is taken gets a number.
    """
    inside = [_count(paths) for paths in clusters]
    rest = list(others)
    overall = _count(rest)
    for counter in inside:
        overall.update(counter)
    total = len(rest) + sum(map(len, clusters))
    named = []
    for counter, paths in zip(inside, clusters, strict=True):
        scores = _scores(counter, len(paths), overall, total)
        tags = _tags(scores)
        name = _name(scores, counter, len(paths)) or _from_tags(tags) or _from_folder(paths) or _NAMELESS
        named.append(Named(name, tags))
    return list(_unique(named))


def tags_from_text(
    centroid: NDArray[np.floating], word_vectors: NDArray[np.floating], words: Sequence[str], count: int = _TAGS
) -> tuple[str, ...]:
    """The `count` words whose text embeddings are nearest to a cluster's centroid.

    Args:
        centroid: (d,), in the centred space of the pictures.
        word_vectors: (len(words), d), centred on *their own* mean: texts and pictures lie in different cones.
        words: what the vectors say.
        count: how many to give.
    """
    likeness = word_vectors @ centroid
    order = np.lexsort((np.arange(len(words)), -likeness))
    return tuple(words[index] for index in order[:count])


def _count(paths: Iterable[str]) -> Counter[_Term]:
    return Counter(term for path in paths for term in _terms(path))


def _terms(path: str) -> set[_Term]:
    """Words and whole phrases of a path: each folder's and the stem's."""
    pure = PurePosixPath(path)
    phrases = [*folder_words(pure.parent.parts), stem_words(pure.name)]
    return {(word,) for phrase in phrases for word in phrase} | {tuple(phrase) for phrase in phrases if phrase}


def _scores(counter: Counter[_Term], size: int, overall: Counter[_Term], total: int) -> dict[_Term, float]:
    """How well each term tells the cluster: its share inside less its share outside, where it is distinctive at all."""
    outside = max(total - size, 1)
    scores = {}
    for term, count in counter.items():
        within, without = count / size, (overall[term] - count) / outside
        if count > 1 and within >= _TAG_SHARE and within >= _LIFT * without:
            scores[term] = within - without
    return scores


def _name(scores: dict[_Term, float], counter: Counter[_Term], size: int) -> str | None:
    """The best phrase that enough members share, in title case."""
    able = {term: score for term, score in scores.items() if counter[term] >= _SHARE * size}
    if not able:
        return None
    best = max(able.values())
    good = [term for term, score in able.items() if score >= _WHOLE * best]
    term = min(good, key=lambda term: (-min(len(term), 3), -able[term], term))
    return " ".join(word.capitalize() for word in term)


def _tags(scores: dict[_Term, float]) -> tuple[str, ...]:
    words = sorted((-score, term[0]) for term, score in scores.items() if len(term) == 1)
    return tuple(word for _, word in words[:_TAGS])


def _from_tags(tags: Sequence[str]) -> str:
    return ", ".join(tag.capitalize() for tag in tags[:_NAME_TAGS])


def _from_folder(paths: Sequence[str]) -> str | None:
    """The name of the folder that most of them are in."""
    folders = Counter(PurePosixPath(path).parent.parts for path in paths)
    best = min(folders, key=lambda parts: (-folders[parts], parts), default=())
    return folder_name(best)


def _unique(named: Iterable[Named]) -> Iterator[Named]:
    taken: set[str] = set()
    for each in named:
        name, number = each.name, 1
        while name in taken:
            number += 1
            name = f"{each.name} {number}"
        taken.add(name)
        yield replace(each, name=name)
