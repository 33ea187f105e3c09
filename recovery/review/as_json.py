"""A review as `pulih/review/v1`: everything in it, whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recovery.review.compare import HostChange, Review
from recovery.review.rescues import Rescue
from recovery.review.settings import Changed

SCHEMA = "pulih/review/v1"


def to_json(review: Review) -> dict[str, object]:
    """Return a review as plain values."""
    found, paths = review.reach, {difference.key: difference for difference in review.differences}
    return {
        "schema": SCHEMA,
        "base": {"revision": review.before.revision, "commit": review.before.commit},
        "head": {"revision": review.after.revision, "commit": review.after.commit},
        "estate": review.after.estate.name,
        "totals": {
            "units": found.of,
            **{change.value: count for change, count in review.counts.items()},
            "endpoints": len(review.endpoints),
            "differences": len(review.differences),
        },
        "blast_radius": {
            "units": len(found.units),
            "share": round(found.share, 4),
            "offices": found.offices,
            "regions": list(found.regions),
            "services": list(found.services),
            "counters": dict(found.counters),
            "excess": found.excess,
            "reasons": list(review.reasons),
        },
        "placement": [
            {"service": move.service, "regions": list(move.regions), "from": move.before, "to": move.after}
            for move in review.moved
        ],
        "services": _values(review.services),
        "settings": _values(review.settings),
        "recoveries": [
            {"side": word, **_rescue(rescue)}
            for word, rescues in (("before", review.rescues_before), ("after", review.rescues_after))
            for rescue in rescues
        ],
        "warnings": [{"text": warning.text, "new": warning.is_new} for warning in review.warnings],
        "units": [_host(change, {key: one.path for key, one in paths.items()}) for change in review.units],
        "endpoints": [_host(change, {key: one.path for key, one in paths.items()}) for change in review.endpoints],
        "files": [
            {
                "difference": difference.key,
                "path": difference.path,
                "change": difference.change.value,
                "lines": list(difference.lines),
                "hosts": list(difference.hosts),
            }
            for difference in review.differences
        ],
    }


def _values(changes: Iterable[Changed]) -> list[dict[str, object]]:
    return [{"what": change.what, "before": change.before, "after": change.after} for change in changes]


def _host(change: HostChange, paths: Mapping[str, str]) -> dict[str, object]:
    host = change.host
    return {
        "name": host.name,
        "change": change.change.value,
        "region": host.region,
        "office": host.office,
        "service": host.service,
        "data_centre": host.data_centre,
        "digest": None if host.bundle is None else host.bundle.digest,
        "files": [{"path": paths[key], "difference": key} for key in change.differences],
        "facts": _values(change.facts),
    }


def _rescue(rescue: Rescue) -> dict[str, object]:
    played = rescue.forecast
    return {
        "lost": rescue.lost,
        "to": rescue.to,
        "units": rescue.units,
        "endpoints": rescue.endpoints,
        "why_not": rescue.why_not or None,
        "seconds": None if played is None else round(played.seconds, 3),
        "parallel": None if played is None else played.parallel,
        "steps_known": None if played is None else played.known,
        "waves": [
            {"name": wave.name, "steps": wave.steps, "ends_s": round(wave.ends_s, 3)}
            for wave in (played.waves if played else ())
        ],
        "services": [
            {"name": one.name, "ends_s": round(one.ends_s, 3), "rto_s": one.rto_s, "met": one.is_met}
            for one in (played.services if played else ())
        ],
    }
