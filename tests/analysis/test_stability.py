"""Cluster ids through reclustering."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mediad.analysis.stability import Carried, carry_over
from mediad.model import ChangeType, ContentId

Partition = list[set[ContentId]]


def ids(text: str) -> set[ContentId]:
    return {ContentId(letter.encode() * 16) for letter in text}


def carry(old: dict[str, str], new: list[str]) -> Carried:
    return carry_over({name: ids(members) for name, members in old.items()}, [ids(m) for m in new], lambda i: f"n{i}")


def test_a_cluster_that_grew_keeps_its_id() -> None:
    carried = carry({"A": "abcd", "B": "wxyz"}, ["wxyzv", "abce"])
    assert carried.ids == ("B", "A")
    assert carried.events == ()


def test_birth_and_death() -> None:
    carried = carry({"A": "abcd"}, ["wxyz"])
    assert carried.ids == ("n0",)
    assert [(event.type, event.id) for event in carried.events] == [
        (ChangeType.CLUSTER_BORN, "n0"),
        (ChangeType.CLUSTER_DIED, "A"),
    ]


def test_merge() -> None:
    carried = carry({"A": "abcdef", "B": "xyz"}, ["abcdefxyz"])
    assert carried.ids == ("A",)
    assert [(e.type, e.id, e.detail) for e in carried.events] == [
        (ChangeType.CLUSTER_MERGED, "A", {"from": ["A", "B"], "into": "A"})
    ]


def test_split() -> None:
    carried = carry({"A": "abcdefxyz"}, ["xyz", "abcdef"])
    assert carried.ids == ("n0", "A")
    assert [(e.type, e.id, e.detail) for e in carried.events] == [
        (ChangeType.CLUSTER_SPLIT, "A", {"from": "A", "into": ["A", "n0"]})
    ]


def test_a_small_common_part_is_no_identity() -> None:
    assert carry({"A": "abcdefghij"}, ["jklmnopqrs"]).ids == ("n0",)


def test_an_id_in_use_is_not_given_again() -> None:
    carried = carry_over({"A": ids("abcd")}, [ids("wxyz"), ids("abcd"), ids("mnop")], lambda _: "A")
    assert carried.ids[1] == "A"
    assert len(set(carried.ids)) == 3


@st.composite
def partitions(draw: st.DrawFn) -> Partition:
    labels = draw(st.lists(st.integers(0, 6), min_size=30, max_size=30))
    groups: dict[int, set[ContentId]] = {}
    for at, label in enumerate(labels):
        if label:  # 0 is noise
            groups.setdefault(label, set()).add(ContentId(bytes([at]) * 16))
    return list(groups.values())


def by_first(index: int, new: Partition) -> str:
    return min(new[index]).hex()[:4]


@given(partitions(), partitions(), st.randoms(use_true_random=False))
def test_ids_and_events_account_for_every_cluster(before: Partition, new: Partition, chance: random.Random) -> None:
    old = {f"old{at}": members for at, members in enumerate(before)}
    carried = carry_over(old, new, lambda index: by_first(index, new))
    assert len(set(carried.ids)) == len(new)
    fresh, gone = set(carried.ids) - set(old), set(old) - set(carried.ids)
    told: Counter[str] = Counter()
    for event in carried.events:
        match event.type:
            case ChangeType.CLUSTER_BORN | ChangeType.CLUSTER_DIED:
                told[event.id] += 1
            case ChangeType.CLUSTER_SPLIT:
                told.update(set(event.detail["into"]) - {event.id})
                assert event.id in carried.ids
            case ChangeType.CLUSTER_MERGED:
                told.update(set(event.detail["from"]) - {event.id})
                assert event.id in carried.ids
    assert told == Counter(fresh | gone)

    order = list(range(len(new)))
    chance.shuffle(order)
    shuffled = [new[at] for at in order]
    again = carry_over(old, shuffled, lambda index: by_first(index, shuffled))
    assert [again.ids[order.index(at)] for at in range(len(new))] == list(carried.ids)
    assert again.events == carried.events


@given(partitions())
def test_nothing_changes_when_nothing_changed(partition: Partition) -> None:
    old = {f"old{at}": members for at, members in enumerate(partition)}
    carried = carry_over(old, list(partition), lambda _: "new")
    assert carried.ids == tuple(old)
    assert carried.events == ()
