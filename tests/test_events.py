"""Every open subscription gets every event in order; a slow listener loses the oldest and holds up nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mediad.events import Event, Events, Subscription


def numbered(count: int, kind: str = "progress", start: int = 0) -> list[Event]:
    return [Event(kind, {"number": start + number}) for number in range(count)]


def publish_all(events: Events, several: list[Event]) -> None:
    for event in several:
        events.publish(event)


def drained(subscription: Subscription) -> list[Event]:
    found = []
    while (event := subscription.get(timeout=0)) is not None:
        found.append(event)
    return found


def test_all_listeners_get_all_events_in_order() -> None:
    events = Events()
    with events.subscribe() as one, events.subscribe() as two:
        for event in numbered(5):
            events.publish(event)
        assert drained(one) == drained(two) == numbered(5)


def test_only_what_happens_while_listening() -> None:
    events = Events()
    events.publish(Event("before", {}))
    with events.subscribe() as listener:
        events.publish(Event("during", {}))
    events.publish(Event("after", {}))
    assert listener.closed
    assert drained(listener) == [Event("during", {})]


def test_a_slow_listener_loses_the_oldest_and_knows_how_many() -> None:
    events = Events()
    with events.subscribe(capacity=3) as slow, events.subscribe() as quick:
        for event in numbered(10):
            events.publish(event)
        assert slow.dropped == 7
        assert drained(slow) == numbered(3, start=7)
        assert quick.dropped == 0
        assert len(drained(quick)) == 10
        events.publish(Event("next", {}))
        assert slow.get(timeout=0) == Event("next", {})
        assert slow.dropped == 7


def test_get_returns_nothing_after_the_timeout() -> None:
    with Events().subscribe() as listener:
        assert listener.get(timeout=0.01) is None
        assert not listener.closed


def test_waiting_ends_with_an_event_or_with_closing() -> None:
    events = Events()
    with ThreadPoolExecutor(2) as pool:
        listener = events.subscribe()
        waiting = pool.submit(listener.get, 30)
        events.publish(Event("now", {}))
        assert waiting.result(timeout=10) == Event("now", {})
        waiting = pool.submit(listener.get)
        events.close()
        assert waiting.result(timeout=10) is None
    assert listener.closed
    assert events.subscribe().closed


def test_closing_twice_is_once() -> None:
    events = Events()
    listener = events.subscribe()
    listener.close()
    listener.close()
    events.close()
    assert listener.closed


def test_one_order_for_all_with_many_publishers() -> None:
    events = Events()
    with events.subscribe(capacity=5000) as one, events.subscribe(capacity=5000) as two:
        with ThreadPoolExecutor(4) as pool:
            for name in "abcd":
                pool.submit(publish_all, events, numbered(500, name))
        first, second = drained(one), drained(two)
    assert first == second
    for name in "abcd":
        assert [event for event in first if event.type == name] == numbered(500, name)


def test_listeners_may_come_and_go_while_events_are_published() -> None:
    events = Events()

    def listen() -> None:
        for _ in range(200):
            with events.subscribe() as listener:
                events.publish(Event("mine", {}))
                assert listener.get(timeout=10) is not None

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(listen) for _ in range(4)]:
            future.result(timeout=60)
    assert not events._subscriptions


def test_capacity_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Events().subscribe(capacity=0)
