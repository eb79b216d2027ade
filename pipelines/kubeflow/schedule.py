"""Durations and schedules as people write them."""

import re
from typing import Any

from pipelines.kubeflow.errors import ClientError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")
_CRON_FIELDS = 6
_LONGEST = 3650 * 86400


def seconds(text: str) -> float:
    """'1d', '2h30m', '90s' or '90' in seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise ClientError(f"duration {text!r}: expected for example 90s, 15m, 2h30m or 1d")
    found = sum(
        float(value) * unit for value, unit in zip(match.groups(), _UNITS.values(), strict=True) if value
    )
    if found > _LONGEST:
        raise ClientError(f"duration {text[:40]!r}: expected at most {_LONGEST // _UNITS['d']} days")
    return found


def readable(elapsed: float) -> str:
    """Seconds as 0:07 or 1:02:03."""
    minutes, rest = divmod(int(elapsed), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def trigger(cron: str | None, every: str | None) -> dict[str, Any]:
    """The API's trigger for a cron line of six fields (seconds first) or for an interval."""
    if (cron is None) == (every is None):
        raise ClientError("a recurring run needs --cron or --every, one of them")
    if every is not None:
        interval = int(seconds(every))
        if interval < 1:
            raise ClientError(f"--every {every}: at least one second")
        return {"periodic_schedule": {"interval_second": str(interval)}}
    fields = (cron or "").split()
    if len(fields) != _CRON_FIELDS and not (cron or "").startswith("@"):
        hint = f", for example '0 {cron}'" if len(fields) == _CRON_FIELDS - 1 else ""
        raise ClientError(
            f"--cron {cron!r} has {len(fields)} fields; Kubeflow's have six, seconds first{hint}"
        )
    return {"cron_schedule": {"cron": cron}}
