"""The rounds of a final, with contestants and a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator

from sweep.devices.measuring.duel import SLOT_MS, Contestant, take_rounds


class Place:
    """Contestants that take so many seconds a call; its clock tells what they have taken."""

    def __init__(self, *seconds: float) -> None:
        self.now_s, self.order, self.seconds = 0.0, [], seconds
        self.order: list[int]

    def contestants(self, *, is_flushed: bool = False) -> list[Contestant]:
        return [Contestant(self._clock_of(index), index == 0, is_flushed) for index in range(len(self.seconds))]

    def _clock_of(self, index: int):  # type: ignore[no-untyped-def]
        def clock(number: int, repeat: int) -> list[float]:
            self.order.append(index)
            self.now_s += number * repeat * self.seconds[index]
            return [self.seconds[index]] * repeat

        return clock


def _none() -> list[float]:
    return []


def test_rounds_go_forth_and_back() -> None:
    place = Place(0.05, 0.1, 0.2)
    taken = take_rounds(place.contestants(), 60.0, _none, lambda: place.now_s)

    assert place.order[-6:] == [0, 1, 2, 2, 1, 0]
    assert [len(one) for one in taken.run_secs] == [10, 10, 10], "told apart at the first look, after five rounds"
    assert taken.is_decided
    assert taken.looks == 1
    assert taken.numbers == [1, 1, 1]


def test_a_slot_has_as_many_calls_as_it_takes_to_last() -> None:
    place = Place(1e-4, 3e-3)
    taken = take_rounds(place.contestants(), 5.0, _none, lambda: place.now_s)

    assert all(number * each >= SLOT_MS / 1e3 for number, each in zip(taken.numbers, place.seconds, strict=True))
    assert max(number * each for number, each in zip(taken.numbers, place.seconds, strict=True)) < 2 * SLOT_MS / 1e3


def test_caches_are_emptied_before_each_call_where_that_is_asked_for() -> None:
    place = Place(1e-4, 3e-3)

    assert take_rounds(place.contestants(is_flushed=True), 1.0, _none, lambda: place.now_s).numbers == [1, 1]


def test_it_ends_with_its_time_and_looks_once_more() -> None:
    place = Place(1.0, 1.04)
    taken = take_rounds(_noisy(place), 30.0, _none, lambda: place.now_s)

    assert taken.took_s <= 30.0
    assert len(taken.run_secs[0]) == 14
    assert (taken.looks, taken.is_decided) == (2, False), "at five rounds, and with all seven"


def _noisy(place: Place) -> list[Contestant]:
    """The second one's rounds differ by half."""
    noise: Iterator[float] = iter(([0.8] * 4 + [1.2] * 4) * 50)
    contestants = place.contestants()

    def noisy(number: int, repeat: int) -> list[float]:
        return [next(noise) * value for value in contestants[1].clock(number, repeat)]

    return [contestants[0], Contestant(noisy, False), *contestants[2:]]


def test_one_that_is_far_behind_does_not_go_on_while_others_are_told_apart() -> None:
    place = Place(1.0, 1.04, 4.0)
    taken = take_rounds(_noisy(place), 300.0, _none, lambda: place.now_s)

    assert [len(one) // 2 for one in taken.run_secs] == [63, 63, 5]
    assert (taken.looks, taken.is_decided) == (8, False), "at 5, 8, 12, 18, 27, 41 and 62 rounds, and with all of them"


def test_one_of_far_longer_calls_has_its_slots_behind_the_others_and_takes_none_of_their_time() -> None:
    place = Place(1.0, 1.04, 6.0)
    taken = take_rounds(_noisy(place), 300.0, _none, lambda: place.now_s)

    assert place.order[-6 - 31 * 4 : -31 * 4] == [0, 1, 1, 0, 2, 2], "the last round before it was told apart"
    assert [len(one) // 2 for one in taken.run_secs] == [36, 36, 5]
    assert sum(sum(one) for one in taken.run_secs[:2]) < 150, "their half of the time"


def test_one_of_far_longer_calls_takes_no_more_than_its_share() -> None:
    place = Place(1.0, 1.04, 40.0)
    taken = take_rounds(_noisy(place), 300.0, _none, lambda: place.now_s)

    assert [len(one) // 2 for one in taken.run_secs] == [36, 36, 1]
    assert taken.took_s <= 300.0


def test_two_of_which_one_is_far_slower_are_told_apart() -> None:
    place = Place(0.02, 0.5)
    taken = take_rounds(place.contestants(), 20.0, _none, lambda: place.now_s)

    assert place.order[-4:] == [0, 0, 1, 1]
    assert ([len(one) for one in taken.run_secs], taken.is_decided) == ([10, 10], True)


def test_networks_that_take_longer_than_the_limit_have_one_round() -> None:
    place = Place(40.0, 50.0)
    taken = take_rounds(place.contestants(), 20.0, lambda: [1.0, 2.0, 9.0], lambda: place.now_s)

    assert [len(one) for one in taken.run_secs] == [2, 2]
    assert (taken.looks, taken.kernel_s) == (0, [2.0])
