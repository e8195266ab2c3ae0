"""The two ways in which a stream fails: the server refuses it, or the connection is lost."""


class ServerError(Exception):
    """The server refused the stream or ended it with an error; `message` is for people.

    `code`, which is for programs, is that of the server's `error` message. If the server opened no
    websocket, `code` is `not_authorised` if the key is missing or wrong, and otherwise `http_` with
    the status of the response, such as `http_503`.
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
