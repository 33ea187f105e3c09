"""Posts notices to a webhook, signed, in a thread of its own: nobody who listens, or does not, can hold up a run."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import queue
import threading
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

from recovery.errors import PlanError
from recovery.report.notices import Notice

_TIMEOUT = urllib3.Timeout(connect=5, read=10)
_RETRIES = urllib3.Retry(
    total=4,
    redirect=False,
    status_forcelist=(408, 425, 429, 500, 502, 503, 504),
    allowed_methods=None,
    backoff_factor=0.5,
    backoff_jitter=0.5,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_MOST = 100
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_KEY_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where notices go.

    Attributes:
        url: May hold a token, so it is never shown; `host` is.
        key: Signs what is sent; None signs nothing.
    """

    url: str
    key: bytes | None

    @staticmethod
    def of(url: str, secret: str | None) -> Receiver:
        """Read what the environment says.

        Raises:
            PlanError: It is no HTTPS address (or one on this machine), or the secret is none; says neither.
        """
        try:
            parts = urlsplit(url)
            is_sound = parts.hostname is not None and parts.port != 0
        except ValueError:
            raise PlanError("PULIH_WEBHOOK: expected an address such as https://alerts.example/pulih") from None
        if not is_sound or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
            raise PlanError("PULIH_WEBHOOK: expected an address such as https://alerts.example/pulih")
        if secret is None:
            return Receiver(url, None)
        try:
            key = base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < 16:
            raise PlanError("PULIH_WEBHOOK_SECRET: expected `whsec_` and at least 16 bytes in base64")
        return Receiver(url, key)

    @property
    def host(self) -> str:
        """The part of the address that can be shown."""
        return urlsplit(self.url).hostname or "?"

    def headers(self, name: str, moment_s: int, body: bytes) -> dict[str, str]:
        """Return the headers of a notice.

        Source: the Standard Webhooks specification 1.0.0, "Webhook metadata" and "Signature scheme" (HMAC-SHA256).
        """
        headers = {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": str(moment_s)}
        if self.key is not None:
            mac = hmac.new(self.key, f"{name}.{moment_s}.".encode() + body, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
        return headers


class Webhook:
    """Sends notices one after the other."""

    def __init__(self, receiver: Receiver) -> None:
        """Send nothing yet."""
        self._receiver = receiver
        self._waiting: queue.Queue[Notice | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="pulih-webhook", daemon=True)
        self._thread.start()
        self.sent = 0
        self.asked = 0
        self.reason = "it has not answered yet"

    def send(self, notice: Notice) -> None:
        """Send a notice soon; returns at once."""
        self.asked += 1
        if self._waiting.qsize() < _MOST:
            self._waiting.put(notice)

    def close(self, within_s: float) -> str | None:
        """Wait a moment for what is on its way.

        Returns:
            What did not arrive, as a sentence; None when all did.
        """
        self._waiting.put(None)
        self._thread.join(within_s)
        if self.sent == self.asked:
            return None
        return f"{self._receiver.host} took {self.sent} of {self.asked} notices: {self.reason}"

    def _work(self) -> None:
        with urllib3.PoolManager(maxsize=1) as pool:
            while (notice := self._waiting.get()) is not None:
                self._post(pool, notice)

    def _post(self, pool: urllib3.PoolManager, notice: Notice) -> None:
        body = json.dumps(notice.to_json(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = self._receiver.headers(str(uuid.uuid4()), int(notice.at.timestamp()), body)
        try:
            answer = pool.request(
                "POST", self._receiver.url, body=body, headers=headers, retries=_RETRIES, timeout=_TIMEOUT
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # Its text may hold the address, and with it a token.
            self.reason = f"no answer ({type(getattr(error, 'reason', None) or error).__name__})"
            return
        if 200 <= answer.status < 300:
            self.sent += 1
        else:
            self.reason = f"it answered {answer.status}"
