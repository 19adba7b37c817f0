// Reads `text/event-stream` out of bytes as they come: chunks may end anywhere, also within a character or between the
// two bytes of a line's end. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6.
// EventSource would do it, but cannot send a token, nor tell of comments, which say that the server is still there.

/** More than any event of ours; a stream that exceeds it is not ours. Counted in UTF-16 units. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024;

export class EventStreamParser {
  #decoder = new TextDecoder("utf-8");
  #text = "";
  /** Up to here `#text` is known to hold no line's end, so that a long line is looked through once. */
  #searched = 0;
  #skipsLineFeed = false;
  #type = "";
  #data = [];
  #length = 0;
  #lastEventId;

  /** @param {string} lastEventId what an event without an id of its own is said to have */
  constructor(lastEventId = "") {
    this.#lastEventId = lastEventId;
  }

  /**
   * @param {Uint8Array} bytes the next piece of the stream
   * @returns {Item[]} what became complete with it
   * @typedef {{kind: "event", type: string, data: string, id: string} | {kind: "comment"}
   *   | {kind: "retry", ms: number}} Item
   * @throws {RangeError} when an event does not end
   */
  push(bytes) {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const found = [];
    let start = 0;
    for (;;) {
      if (this.#skipsLineFeed && start < this.#text.length) {
        if (this.#text[start] === "\n") start += 1;
        this.#skipsLineFeed = false;
      }
      const end = this.#lineEnd(Math.max(start, this.#searched));
      if (end < 0) break;
      const line = this.#text.slice(start, end);
      this.#skipsLineFeed = this.#text[end] === "\r";
      start = end + 1;
      this.#readLine(line, found);
    }
    this.#text = this.#text.slice(start);
    this.#searched = this.#text.length;
    if (this.#text.length + this.#length > MAX_EVENT_LENGTH) throw new RangeError("an event does not end");
    return found;
  }

  #lineEnd(from) {
    for (let place = from; place < this.#text.length; place += 1) {
      const unit = this.#text.charCodeAt(place);
      if (unit === 10 || unit === 13) return place;
    }
    return -1;
  }

  #readLine(line, found) {
    if (line === "") return this.#dispatch(found);
    const colon = line.indexOf(":");
    if (colon === 0) return void found.push({ kind: "comment" });
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") {
      this.#data.push(value);
      this.#length += value.length;
    } else if (field === "event") {
      this.#type = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.#lastEventId = value;
    } else if (field === "retry" && /^[0-9]+$/.test(value)) {
      found.push({ kind: "retry", ms: Number(value) });
    }
  }

  #dispatch(found) {
    if (this.#data.length > 0) {
      found.push({
        kind: "event", type: this.#type || "message", data: this.#data.join("\n"), id: this.#lastEventId,
      });
    }
    this.#type = "";
    this.#data = [];
    this.#length = 0;
  }
}
