"""The two ways in which a stream fails: the server refuses it, or the connection is lost."""


class ServerError(Exception):
    """The server refused: `code` is for programs, `message` for people.

    `code` is the code in the server's `error` message; or `http_` and the HTTP status, such as
    `http_503`, if the server did not open a websocket.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ConnectionLost(Exception):  # noqa: N818 -- it names what happened
    """No server answered, or the connection ended before the stream did.

    `close_code` is the close code of the websocket; None if there was no connection, or if it broke
    without a close frame.
    """

    def __init__(self, message: str, close_code: int | None = None) -> None:
        super().__init__(message)
        self.close_code = close_code


Failure = ServerError | ConnectionLost
