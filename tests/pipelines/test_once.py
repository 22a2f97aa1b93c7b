from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

from pipelines.once import once


def test_threads_that_ask_at_the_same_time_share_a_result():
    calls, beginning, inside = [], Barrier(4), Barrier(2)

    @once
    def of(value):
        calls.append(value)
        try:
            inside.wait(0.1)  # nobody else gets here
        except BrokenBarrierError:
            return [value]
        return ["two at once"]

    def ask(_):
        beginning.wait()
        return of(5)

    with ThreadPoolExecutor(4) as workers:
        results = list(workers.map(ask, range(4)))
    assert calls == [5]
    assert results == [[5]] * 4
    assert all(result is results[0] for result in results)


def test_a_value_of_its_own_has_a_result_of_its_own_until_all_are_forgotten():
    calls = []

    @once
    def of(value):
        """What it is."""
        calls.append(value)
        return value + 1

    assert [of(1), of(2), of(1)] == [2, 3, 2]
    assert calls == [1, 2]
    of.cache_clear()
    assert of(1) == 2
    assert calls == [1, 2, 1]
    assert of.__doc__ == "What it is."
