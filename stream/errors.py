"""The errors of this package, in two families.

`DistilStreamError`
├── `PeerError`: the client of a stream is at fault; the message is sent to it
│   └── `SettingsError`: a setting of a stream is invalid
└── `UsageError`: the user or the calling code is at fault; the message describes a remedy
    └── `CheckpointError`: a model is missing or invalid
"""


class DistilStreamError(Exception):
    """Base class of the errors of this package."""


class PeerError(DistilStreamError):
    """The client of a stream is at fault.

    The client is sent `code` and the message. The connection is closed with `close_code`; if that
    is None, the stream continues.
    """

    def __init__(self, code: str, message: str, close_code: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code


class SettingsError(PeerError):
    """The setting `field` of a stream is invalid; close code 4001."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("bad_settings", message, 4001)
        self.field = field


class UsageError(DistilStreamError):
    """The user or the calling code is at fault; the message describes a remedy."""


class CheckpointError(UsageError):
    """A model is missing, truncated, modified or of an unknown kind."""
