"""The exception that every call raises."""

from __future__ import annotations

import json


class Fault(Exception):
    """What went wrong, and where."""

    #: Whose doing: "caller", "source" (the file), "unsupported", "limit", "device", "cancelled" or "bug".
    blame: str
    #: One sentence.
    what: str
    #: The file concerned.
    file: str | None
    #: The byte offset in that file.
    at: int | None
    #: What lies behind it, from near to far.
    because: list[str]

    @classmethod
    def _of(cls, text: str, report: str) -> Fault:
        fault = cls(text)
        fields = json.loads(report)
        fault.blame = fields["blame"]
        fault.what = fields["what"]
        fault.file = fields["file"]
        fault.at = fields["at"]
        fault.because = fields["because"]
        return fault
