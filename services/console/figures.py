"""The figures of the Now page as sums over claims, so that a change of one claim is a small change of them. Pure."""

from collections import Counter
from collections.abc import Mapping

from services.console.domain import reached, standing
from services.console.facts import STAGES, ClaimFacts

TempoKey = tuple[int, str, int]
"""Minute since 1970, stage, bucket of age (-1: not known)."""

_LINEAR = 4


def bucket_of(age_ms: int) -> int:
    """Bucket of an age: four to an octave, so that a figure read from the buckets is at most a quarter too high."""
    value = max(0, age_ms)
    if value < _LINEAR:
        return value
    octave = value.bit_length()
    return _LINEAR * (octave - 2) + ((value >> (octave - 3)) & 3)


def bucket_top(bucket: int) -> int:
    """Largest age in ms that falls into the bucket."""
    if bucket < _LINEAR:
        return bucket
    octave, quarter = bucket // _LINEAR + 2, bucket % _LINEAR
    return ((_LINEAR + quarter + 1) << (octave - 3)) - 1


def quantile(counts: Mapping[int, int], part: float) -> int | None:
    """Age in ms that `part` of the counted do not exceed; None where no age is known."""
    known = {bucket: n for bucket, n in counts.items() if bucket >= 0 and n > 0}
    wanted = part * sum(known.values())
    heard = 0
    for bucket in sorted(known):
        heard += known[bucket]
        if heard >= wanted:
            return bucket_top(bucket)
    return None


def counters(view: ClaimFacts | None) -> Counter[str]:
    """What one claim adds to the counters."""
    if view is None:
        return Counter()
    found = Counter({f"state:{standing(view).state}": 1})
    found.update(f"reached:{stage}" for stage in reached(view))
    found["notices_failed"] = sum(not notice.sent for notice in view.notices.values())
    return +found


def tempo(view: ClaimFacts | None) -> Counter[TempoKey]:
    """What one claim adds to the tempo: a count in the minute in which it reached each stage."""
    if view is None:
        return Counter()
    times = reached(view)
    start = times.get("received")
    return Counter(
        (times[stage] // 60_000, stage, -1 if start is None else bucket_of(times[stage] - start))
        for stage in STAGES
        if stage in times
    )


def change(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """What has to be added to the sums, without zeros."""
    return {key: n for key in before | after if (n := after[key] - before[key])}


def tempo_change(before: Counter[TempoKey], after: Counter[TempoKey]) -> dict[TempoKey, int]:
    """What has to be added to the tempo, without zeros."""
    return {key: n for key in before | after if (n := after[key] - before[key])}
