# SPDX-License-Identifier: MIT
"""The availability of the system, for I7. Pure."""

STEADY_WINDOW_S = 0.5
STEADY_SHARE = 0.95


def percentile(values, share):
    """Nearest rank; None for no values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 1)


def phases(history):
    """name -> (begin, end) of the phases in which clients are paced."""
    marks = [(line["name"], line["t"]) for line in history if line["e"] == "phase"]
    return {name: (begin, marks[i + 1][1]) for i, (name, begin) in enumerate(marks[:-1])}


def longest_gap(times, begin, end):
    """The longest time within [begin, end] without any of `times`."""
    marks = [begin, *sorted(time for time in times if begin < time < end), end]
    return max(later - earlier for earlier, later in zip(marks, marks[1:]))


def steady_again(times, since, end, rate):
    """Seconds from `since` until the answers of a window keep up with the rate; None when that was not seen."""
    ordered = sorted(time for time in times if since <= time <= end)
    need, last = max(1, int(STEADY_SHARE * rate * STEADY_WINDOW_S)), 0
    for first, begin in enumerate(ordered):
        while last < len(ordered) and ordered[last] <= begin + STEADY_WINDOW_S:
            last += 1
        if last - first >= need:
            return begin - since
    return None


def measure(history, operations):
    """Latencies count from when an operation was due, so that waiting for a stalled client is not left out."""
    spans, ok = phases(history), [operation for operation in operations if operation["result"] == "ok"]
    answered = [operation["returned"] for operation in ok]
    counts = {result: sum(operation["result"] == result for operation in operations) for result in ("ok", "fail", "info")}
    stored = {operation["id"] for operation in ok}
    measured = dict(operations=len(operations), **counts, ids=len(stored), gap_s=0.0, recovery_s=None,
                    unanswered=sum(operation["status"] is None for operation in operations),
                    put_off=sum(operation["status"] == 503 for operation in operations),
                    repeated=sum(bool(operation.get("duplicate")) for operation in ok))
    for name in ("base", "faults", "after"):
        begin, end = spans.get(name, (0, 0))
        waits = [operation["returned"] - operation["due"] for operation in ok if begin <= operation["due"] < end]
        measured[f"p50_{name}_ms"], measured[f"p99_{name}_ms"] = (milliseconds(percentile(waits, share)) for share in (0.5, 0.99))
    if "base" in spans and "after" in spans:
        begin, end = spans["base"][0], spans["after"][1]
        measured["gap_s"] = round(longest_gap(answered, begin, end), 3)
        base_begin, base_end = spans["base"]
        rate = sum(base_begin <= operation["due"] < base_end for operation in ok) / max(base_end - base_begin, 0.001)
        measured["base_rate"] = round(rate)
        recovery = steady_again(answered, spans["after"][0], end, rate)
        measured["recovery_s"] = None if recovery is None else round(recovery, 3)
    return measured
