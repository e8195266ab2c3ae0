"""Close codes that all protocols share, and the fatal errors that lead to them."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Close codes of a websocket (RFC 6455, section 7.4); 4000 and above are this project's own.

    The server and every protocol use these for the reason of a close. A protocol whose clients
    expect other codes declares them in `SessionProtocol.close_codes`.
    """

    ENDED = 1000
    GOING_AWAY = 1001
    WRONG_KIND = 1003
    MALFORMED = 1007
    NOT_AUTHORISED = 1008
    TOO_LARGE = 1009
    INTERNAL = 1011
    RESTARTING = 1012
    OVERLOADED = 1013
    IDLE = 4000
    BAD_SETTINGS = 4001
    RESUME_REFUSED = 4002
    NOT_ALLOWED = 4003
    OVER_LIMIT = 4004


FATAL_ERRORS: dict[str, CloseCode] = {
    "malformed": CloseCode.MALFORMED,
    "wrong_kind": CloseCode.WRONG_KIND,
    "bad_settings": CloseCode.BAD_SETTINGS,
    "resume_refused": CloseCode.RESUME_REFUSED,
    "not_authorised": CloseCode.NOT_AUTHORISED,
    "not_allowed": CloseCode.NOT_ALLOWED,
    "over_limit": CloseCode.OVER_LIMIT,
    "internal": CloseCode.INTERNAL,
}
"""Each error code that ends a connection in any protocol, and the close code that follows it."""
