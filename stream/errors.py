"""Errors, in two families.

`DistilStreamError`
├── `PeerError`: the other end of the wire is at fault; carries what it is told
│   └── `SettingsError`: a setting of a stream is out of its range
└── `UsageError`: whoever called us is at fault; the message says what to do
    └── `CheckpointError`: a model is not to be found, or not what it should be
"""


class DistilStreamError(Exception):
    """Any error of this package."""


class PeerError(DistilStreamError):
    """The peer's fault: it is told `code` and the message, and closed with `close_code`."""

    def __init__(self, code: str, message: str, close_code: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code


class SettingsError(PeerError):
    """A setting of a stream that cannot be served; close code 4001."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("bad_settings", message, 4001)
        self.field = field


class UsageError(DistilStreamError):
    """The caller's fault; the message says what to do."""


class CheckpointError(UsageError):
    """A model that is missing, truncated, tampered with or of an unknown kind."""
