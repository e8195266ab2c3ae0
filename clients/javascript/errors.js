// The two ways in which a stream fails: the server refuses it, or the connection is lost.

/** The server refused: `code` is for programs, `message` for people. */
export class ServerError extends Error {
  /**
   * @param {string} code the code in the server's `error` message, or `http_` and a status
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** No server answered, or the connection ended before the stream did. */
export class ConnectionLost extends Error {
  /**
   * @param {string} message
   * @param {number | null} closeCode the close code of the websocket; null if there was no
   *   connection, or if it broke without a close frame
   */
  constructor(message, closeCode = null) {
    super(message);
    this.closeCode = closeCode;
  }
}
