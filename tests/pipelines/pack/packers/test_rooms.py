"""The stacks of rows with the same room, against plain code."""

import random

from pipelines.pack.packers.rooms import least_room, no_rooms, push, remove


def test_the_least_sufficient_room_is_the_plain_one():
    for seed in range(60):
        rng = random.Random(seed)
        capacity = rng.choice([1, 63, 64, 65, 4_095, 4_096, 4_097, 300_000])
        rooms, stacks = no_rooms(40, capacity, 9), {}
        for _ in range(300):
            r = rng.randrange(40)
            if r in stacks and rng.random() < 0.5:
                remove(r, rooms)
                del stacks[r]
            elif r not in stacks:
                rooms.room[r] = rng.choice([0, 1, capacity, rng.randint(0, capacity)])
                push(r, rooms)
                if rooms.room[r]:
                    stacks[r] = int(rooms.room[r])  # the last is the one extended last
            length = rng.choice([1, capacity, rng.randint(1, capacity)])
            fits = [room for room in stacks.values() if room >= length]
            assert least_room(rooms.bits, length) == min(fits, default=-1), f"{seed=}"
            if fits:
                assert rooms.top[min(fits)] == [r for r, room in stacks.items() if room == min(fits)][-1]


def test_a_row_is_in_a_stack_once():
    rooms = no_rooms(2, 10, 9)
    rooms.room[:] = 5
    for r in (0, 1, 0):
        push(r, rooms)
    remove(0, rooms)
    remove(0, rooms)
    assert (rooms.top[5], rooms.below[1]) == (1, -1)
