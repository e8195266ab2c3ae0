// When a stream reconnects, how long it waits, and when it gives a silent server up.
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
  1014, // a proxy whose server is not there
  IDLE,
  RESUME_REFUSED,
]);

/** Refusals that pass: the server is busy or not ready yet, or a proxy waits for it. */
export const RETRIED_REFUSALS = new Set(["http_502", "http_503", "http_504"]);

/** Fatal errors after which another connection may succeed; the close code follows. */
export const RETRIED_ERRORS = new Set(["internal"]);

/** Before an attempt to reconnect; each wait is twice the one before, give or take a quarter. */
export const FIRST_WAIT_S = 0.3;
export const LONGEST_WAIT_S = 10;

/** A connection that was live for so long counts as good: waits begin with the shortest again. */
export const STEADY_S = 10;

/** Seconds of audio after which a server has certainly answered: it does after each second. */
export const ANSWERED_EVERY_S = 2;

/** Keeps the powers of two finite. */
export const MOST_DOUBLINGS = 20;

/** Part of the server's `idle_s` after which a keepalive is sent if nothing else was. */
export const KEEPALIVE_PART = 0.3;

/** The `idle_s` of a server that announces none. */
export const IDLE_S = 60;

/** Audio in one message, if there is so much to send. */
export const LONGEST_FRAME_BYTES = 64_000;

/** Decides how long to wait before the next connection, and when there is to be none. */
export class Backoff {
  #reconnectS;
  #random;
  #attempts = 0; // to reconnect, since the last good connection
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
   * Takes note that a connection is live.
   * @param {number} nowS
   */
  noteLive(nowS) {
    this.#good = false;
    this.#liveSinceS = nowS;
  }

  /** Takes note that the connection has brought the stream forward: it is a good one. */
  noteProgress() {
    this.#good = true;
  }

  /**
   * Returns the seconds to wait before the next attempt; null to give up.
   * @param {number} nowS the time
   * @param {object} how
   * @param {boolean} how.wasLive whether the connection that is lost was live
   * @param {boolean} how.atOnce whether there need be no wait, if that connection was a good one
   * @returns {number | null}
   */
  waitS(nowS, { wasLive, atOnce }) {
    const good = wasLive && (this.#good || nowS - this.#liveSinceS >= STEADY_S);
    if (good || this.#lostSinceS === null) {
      this.#attempts = 0;
      this.#lostSinceS = nowS;
    }
    const doubled = Math.min(FIRST_WAIT_S * 2 ** this.#attempts, LONGEST_WAIT_S);
    // Varied, so that the clients of a server do not all come back at the same moment.
    const waitS = atOnce && good ? 0 : doubled * (0.75 + this.#random() / 2);
    this.#attempts = Math.min(this.#attempts + 1, MOST_DOUBLINGS);
    return nowS + waitS > this.#lostSinceS + this.#reconnectS ? null : waitS;
  }
}

/** Decides when a server that owes an answer is given up. */
export class Patience {
  #silences = 0; // how often a server was given up since the last progress: each time later
  /** @type {number | null} */
  #owedSinceS = null;

  /** @param {number} silentS */
  constructor(silentS) {
    this.silentS = silentS;
  }

  /**
   * Takes note whether the server owes an answer.
   * @param {boolean} owesAnswer
   * @param {number} nowS
   */
  note(owesAnswer, nowS) {
    if (!owesAnswer) this.#owedSinceS = null;
    else this.#owedSinceS ??= nowS;
  }

  /** Takes note that the server has sent something. */
  noteAnswer() {
    this.#owedSinceS = null;
  }

  /** Takes note that the server keeps up: its next silence is measured from the shortest. */
  noteProgress() {
    this.#silences = 0;
  }

  /** Takes note that the server was given up: it may only have been slow. */
  noteGivenUp() {
    this.#owedSinceS = null;
    this.#silences = Math.min(this.#silences + 1, MOST_DOUBLINGS);
  }

  /** When the server is given up; infinity if it owes nothing. */
  get untilS() {
    if (this.#owedSinceS === null) return Infinity;
    return this.#owedSinceS + this.silentS * 2 ** this.#silences;
  }
}
