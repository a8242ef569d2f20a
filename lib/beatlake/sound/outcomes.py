"""What can come of asking for a file: five outcomes, each with its reason.

| outcome | when | again in this run | by a later run |
|---|---|---|---|
| `ok` | the file is in the cache | | when it is gone from there |
| `gone` | 404, 410 | no | no |
| `refused` | 401, 403, 451 and any other 4xx | no | no |
| `refused` | 429 | yes | yes |
| `refused` | the address, or where it leads, may not be asked | no | yes |
| `refused` | the host wants to be left alone for long | no | yes |
| `damaged` | empty, no audio, too large | no | when `max_mb` has changed |
| `damaged` | it ended before its end | yes | yes |
| `failed` | no connection, no answer, stalled, 408, 425, 5xx | yes | yes |
| `failed` | out of time, a bad certificate, too many redirects, any other answer | no | yes |

Reasons are sentences that name hosts, statuses and sizes, never a path or query of an address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Outcome = Literal["ok", "gone", "refused", "damaged", "failed"]


@dataclass(frozen=True)
class Fetched:
    """What came of one address.

    ``status`` is that of the last answer, ``type_said`` its Content-Type and ``type_found`` what
    the first bytes are (`beatlake.sound.kinds`). ``sha256`` and ``bytes`` are those of the file in
    the cache, None where there is none. ``at`` is when it was found out, by whichever run.
    """

    address: str = field(repr=False)
    outcome: Outcome
    reason: str | None
    status: int | None
    type_said: str | None
    type_found: str | None
    sha256: str | None
    bytes: int | None
    at: datetime


class NotFetchedError(Exception):
    """Asking once gave no file.

    Args:
        outcome: what it is, if it stays so.
        reason: a sentence.
        status: of the answer, if there was one.
        host: who answered, or did not.
        type_said: the answer's Content-Type.
        retry: whether it is worth asking again in this run.
        wait_s: how long the host wants to be left alone before that.
        final: whether later runs need not ask.
    """

    def __init__(
        self,
        outcome: Outcome,
        reason: str,
        *,
        status: int | None = None,
        host: str | None = None,
        type_said: str | None = None,
        retry: bool = False,
        wait_s: float = 0.0,
        final: bool = False,
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.status = status
        self.host = host
        self.type_said = type_said
        self.retry = retry
        self.wait_s = wait_s
        self.final = final
