"""The reference client of the citizens' app: it learns from a signed manifest where the services are.

The rules are `docs/client.md`; this package is one way to keep them, on `tuf.ngclient`. It needs nothing else of pulih.
"""

from __future__ import annotations

from pulih_client.client import Client, Outcome, Poll
from pulih_client.limits import LIMITS, Limits
from pulih_client.manifest import Manifest, Place
from pulih_client.reasons import Reason, Refusal, RefusedError
from pulih_client.state import BusyError, State

__all__ = [
    "LIMITS",
    "BusyError",
    "Client",
    "Limits",
    "Manifest",
    "Outcome",
    "Place",
    "Poll",
    "Reason",
    "Refusal",
    "RefusedError",
    "State",
]
