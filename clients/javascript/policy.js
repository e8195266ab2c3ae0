// When a stream reconnects, how long it waits, and when it considers a silent server lost.
// The constants are those of the Python client (clients/python/distil_stream_client/policy.py).

export const GOING_AWAY = 1001;
export const IDLE = 4000;
export const RESUME_REFUSED = 4002;

/**
 * Close codes after which another connection may succeed.
 * @type {Set<number | null>}
 */
export const RETRIED_CLOSES = new Set([
  null, // no close frame: the connection broke
  GOING_AWAY,
  1005, // a close frame without a code, as some proxies send
  1011, // a fault of the server
  1012, // the server restarts
  1013, // the client did not read for too long, as when its computer was suspended
  1014, // a proxy that cannot reach the server
  IDLE,
  RESUME_REFUSED,
]);

/**
 * Temporary refusals: the server is busy or not ready yet, the key or the address is over its limit,
 * or a proxy cannot reach the server.
 */
export const RETRIED_REFUSALS = new Set(["http_429", "http_502", "http_503", "http_504"]);

/** Fatal errors after which another connection may succeed; the close code follows. */
export const RETRIED_ERRORS = new Set(["internal"]);

/** Waits before an attempt to reconnect: each is twice the one before, varied by up to 25 %. */
export const FIRST_WAIT_S = 0.3;
export const LONGEST_WAIT_S = 10;

/** A connection that was live for this long counts as good: waits begin with the first again. */
export const STEADY_S = 10;

/** Seconds of audio within which a server must answer; it reports progress after each second. */
export const ANSWERED_EVERY_S = 2;

/** The most times that a wait is doubled, so that it stays finite. */
export const MOST_DOUBLINGS = 20;

/** Fraction of the server's `idle_s` after which a keepalive is sent if nothing else was sent. */
export const KEEPALIVE_PART = 0.3;

/** The `idle_s` that is assumed for a server that does not announce it. */
export const IDLE_S = 60;

/** The most bytes of audio in one message. */
export const LONGEST_FRAME_BYTES = 64_000;

/** Decides how long to wait before the next attempt to connect, and when to stop trying. */
export class Backoff {
  #reconnectS;
  #random;
  #attempts = 0; // attempts to reconnect since the last good connection
  #liveSinceS = 0;
  #good = false;
  /** @type {number | null} */
  #lostSinceS = null;

  /**
   * @param {number} reconnectS
   * @param {() => number} random
   */
  constructor(reconnectS, random) {
    this.#reconnectS = reconnectS;
    this.#random = random;
  }

  /**
   * Records that a connection is live.
   * @param {number} nowS
   */
  noteLive(nowS) {
    this.#good = false;
    this.#liveSinceS = nowS;
  }

  /** Records that the stream has made progress on the connection, which makes it a good one. */
  noteProgress() {
    this.#good = true;
  }

  /**
   * Returns the seconds to wait before the next attempt; null to give up.
   * @param {number} nowS the current time
   * @param {object} how
   * @param {boolean} how.wasLive whether the connection that was lost was live
   * @param {boolean} how.atOnce whether to return 0 if that connection was a good one
   * @returns {number | null}
   */
  waitS(nowS, { wasLive, atOnce }) {
    const good = wasLive && (this.#good || nowS - this.#liveSinceS >= STEADY_S);
    if (good || this.#lostSinceS === null) {
      this.#attempts = 0;
      this.#lostSinceS = nowS;
    }
    const doubled = Math.min(FIRST_WAIT_S * 2 ** this.#attempts, LONGEST_WAIT_S);
    // The wait is varied, so that the clients of a server do not all reconnect at once.
    const waitS = atOnce && good ? 0 : doubled * (0.75 + this.#random() / 2);
    this.#attempts = Math.min(this.#attempts + 1, MOST_DOUBLINGS);
    return nowS + waitS > this.#lostSinceS + this.#reconnectS ? null : waitS;
  }
}

/**
 * Decides when a server that has not answered is considered lost. The time doubles with each
 * silence, because the server may only be slow.
 */
export class Patience {
  #silences = 0; // how many times a server was considered lost since the last progress
  /** @type {number | null} */
  #owedSinceS = null;

  /** @param {number} silentS */
  constructor(silentS) {
    this.silentS = silentS;
  }

  /**
   * Records whether the server has yet to answer; the first time starts the clock.
   * @param {boolean} owesAnswer
   * @param {number} nowS
   */
  note(owesAnswer, nowS) {
    if (!owesAnswer) this.#owedSinceS = null;
    else this.#owedSinceS ??= nowS;
  }

  /** Records that the server has sent a message, which stops the clock. */
  noteAnswer() {
    this.#owedSinceS = null;
  }

  /** Records that the server makes progress: the time is `silentS` again. */
  noteProgress() {
    this.#silences = 0;
  }

  /** Records that the server was considered lost: the next time is twice as long. */
  noteGivenUp() {
    this.#owedSinceS = null;
    this.#silences = Math.min(this.#silences + 1, MOST_DOUBLINGS);
  }

  /** The time at which the server is considered lost; infinity if no answer is due. */
  get untilS() {
    if (this.#owedSinceS === null) return Infinity;
    return this.#owedSinceS + this.silentS * 2 ** this.#silences;
  }
}
