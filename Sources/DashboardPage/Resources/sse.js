// Parses `text/event-stream` from chunks of bytes. A chunk may end anywhere, even within a character or between the two
// bytes of a line end. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6.
// EventSource cannot be used, because it cannot send a token and does not report comments. Comments show that the
// server still runs.

/** Maximum length of an event, in UTF-16 units. Millrace's events are shorter. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024;

export class EventStreamParser {
  #decoder = new TextDecoder("utf-8");
  #text = "";
  /** `#text` contains no line end before this position, so a long line is searched only once. */
  #searched = 0;
  #skipsLineFeed = false;
  #type = "";
  #data = [];
  #length = 0;
  #lastEventId;

  /** @param {string} lastEventId the id of events that have no id of their own */
  constructor(lastEventId = "") {
    this.#lastEventId = lastEventId;
  }

  /**
   * @param {Uint8Array} bytes the next piece of the stream
   * @returns {Item[]} the items that this piece completes
   * @typedef {{kind: "event", type: string, data: string, id: string} | {kind: "comment"}
   *   | {kind: "retry", ms: number}} Item
   * @throws {RangeError} if an event is too long
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
