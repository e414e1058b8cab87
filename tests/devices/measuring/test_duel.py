"""The heats of a final, with contestants and a clock of the test's."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

import pytest

from sweep.devices.measuring.duel import SLOT_MS, Contestant, Duel, TakenRounds


class Place:
    """Contestants that take so many seconds a call; its clock tells what they and their loading have taken."""

    def __init__(self, *seconds: float, load_s: float = 0.0, noise: float = 0.0) -> None:
        """noise: deviation of the second one's rounds."""
        self.now_s, self.order, self.seconds, self.load_s = 0.0, list[int](), seconds, load_s
        self.asked: list[list[int]] = []
        self._noise, self._draw = noise, random.Random(0)

    def hold(
        self,
        limit_s: float,
        *,
        kernel: Callable[[], list[float]] = list,
        is_flushed: bool = False,
        lost: Collection[tuple[int, int]] = (),
    ) -> TakenRounds:
        """lost: (heat, index) of what cannot be loaded."""
        duel = Duel([index == 0 for index in range(len(self.seconds))], limit_s, lambda: self.now_s)
        while asked := duel.next_heat():
            self.now_s += self.load_s
            self.order.clear()
            loaded = [index for index in asked if (len(self.asked), index) not in lost]
            self.asked.append(list(asked))
            duel.take_heat({index: Contestant(self._clock_of(index), is_flushed) for index in loaded}, kernel)
        return duel.taken

    def _clock_of(self, index: int) -> Callable[[int, int], list[float]]:
        def clock(number: int, repeat: int) -> list[float]:
            self.order.append(index)
            self.now_s += number * repeat * self.seconds[index]
            factor = 1 + self._draw.uniform(-1, 1) * self._noise if index == 1 else 1.0
            return [factor * self.seconds[index]] * repeat

        return clock


def _rounds(taken: TakenRounds) -> list[list[int]]:
    return [[len(slots) // 2 for slots in heats] for heats in taken.run_secs]


def test_rounds_go_forth_and_back_in_heats_for_which_all_are_loaded() -> None:
    place = Place(0.05, 0.1, 0.2)
    taken = place.hold(60.0)

    assert place.order[-12:] == [0, 1, 2, 2, 1, 0] * 2
    assert place.asked == [[0, 1, 2]] * 4
    assert _rounds(taken) == [[5] * 4] * 3, "told apart at the first look, after four heats"
    assert (taken.looks, taken.is_decided, taken.numbers) == (1, True, [1, 1, 1])


def test_what_is_loaded_again_is_warmed_up_before_it_counts() -> None:
    place = Place(0.05, 0.1)
    place.hold(60.0)

    assert place.order == [0, 1, *([0, 1, 1, 0] * 5)]


def test_a_slot_has_as_many_calls_as_it_takes_to_last() -> None:
    place = Place(1e-4, 3e-3)
    numbers = place.hold(5.0).numbers

    assert all(number * each >= SLOT_MS / 1e3 for number, each in zip(numbers, place.seconds, strict=True))
    assert max(number * each for number, each in zip(numbers, place.seconds, strict=True)) < 2 * SLOT_MS / 1e3


def test_caches_are_emptied_before_each_call_where_that_is_asked_for() -> None:
    assert Place(1e-4, 3e-3).hold(1.0, is_flushed=True).numbers == [1, 1]


def test_it_ends_with_its_time_and_looks_once_more() -> None:
    taken = Place(0.1, 0.104, noise=0.5).hold(32.0)

    assert taken.took_s <= 32.0
    assert not taken.is_decided
    assert (len(taken.run_secs[0]), taken.looks) == (14, 5), "at four, six, nine and fourteen, and with what is left"
    assert taken.is_last_look
    taken = Place(0.1, 0.104, noise=0.5).hold(24.0)
    assert (len(taken.run_secs[0]), taken.looks) == (10, 4), "the last one since the time is over"


@pytest.mark.parametrize(
    ("load_s", "limit_s", "rounds"),
    [
        (0.0, 60.0, 5),
        (8.0, 200.0, 10),  # for half as long as it takes to load
        (4.0, 16.0, 2),  # four heats of so many
        (30.0, 20.0, 37),  # there is time for one heat alone
    ],
)
def test_a_heat_has_rounds_enough_to_be_worth_its_loading(load_s: float, limit_s: float, rounds: int) -> None:
    taken = Place(0.1, 0.104, load_s=load_s, noise=0.5).hold(limit_s)

    assert {count for heats in _rounds(taken) for count in heats} == {rounds}
    assert taken.took_s <= limit_s


def test_one_that_is_far_behind_does_not_go_on_while_others_are_told_apart() -> None:
    place = Place(0.1, 0.104, 0.4, noise=0.5)
    taken = place.hold(60.0)

    assert [len(heats) for heats in taken.run_secs] == [len(place.asked), len(place.asked), 4]
    assert place.asked[4:] == [[0, 1]] * (len(place.asked) - 4)
    assert len(place.asked) > 9


def test_one_of_far_longer_calls_has_its_slots_behind_the_others_once_a_heat() -> None:
    place = Place(0.1, 0.104, 0.6)
    taken = place.hold(60.0)

    assert place.order[:8] == [0, 1, 0, 1, 1, 0, 2, 2]
    assert _rounds(taken) == [[5] * 4, [5] * 4, [1] * 4]
    assert taken.is_decided


def test_one_of_far_longer_calls_takes_no_more_than_its_share() -> None:
    place = Place(0.1, 0.104, 12.0, noise=0.5)
    taken = place.hold(60.0)

    assert _rounds(taken)[2] == [1]
    assert place.asked[1:] == [[0, 1]] * (len(place.asked) - 1)
    assert taken.took_s <= 60.0


def test_two_of_which_one_is_far_slower_are_told_apart() -> None:
    taken = Place(0.02, 0.5).hold(20.0)

    assert (_rounds(taken), taken.is_decided) == ([[5] * 4, [1] * 4], True)


def test_networks_that_take_longer_than_the_limit_have_one_round() -> None:
    taken = Place(40.0, 50.0).hold(20.0, kernel=lambda: [1.0, 2.0, 9.0])

    assert _rounds(taken) == [[1], [1]]
    assert (taken.looks, taken.kernel_s) == (0, [2.0])


def test_one_that_cannot_be_loaded_again_takes_no_further_part() -> None:
    place = Place(0.1, 0.104, 0.107, noise=0.5)
    taken = place.hold(60.0, lost=[(2, 2)])

    assert place.asked[:4] == [[0, 1, 2]] * 3 + [[0, 1]]
    assert [len(heats) for heats in taken.run_secs][1:] == [len(place.asked), 2]


def test_where_one_is_left_it_is_over_and_looked_at() -> None:
    taken = Place(0.1, 0.104).hold(60.0, lost=[(2, 1)])

    assert (_rounds(taken), taken.looks) == ([[5, 5], [5, 5]], 1)


def test_one_that_cannot_be_loaded_at_all_is_not_waited_for() -> None:
    taken = Place(0.1, 0.2, 0.3).hold(60.0, lost=[(0, 1)])

    assert _rounds(taken) == [[5] * 4, [], [5] * 4]
    assert taken.is_decided
