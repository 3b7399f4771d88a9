// Votes on their way. Each is kept in this browser until the server has answered for it, and carries the key that makes
// sending it twice the same as sending it once.

const RETRY_SECONDS = [1, 2, 4, 8, 15, 30];

export class Outbox {
  // account: whose votes; csrf: this session's token
  // told.accepted(entry, reply), told.refused(entry, message), told.changed(count, state): state "sending", "offline", "signed-out"
  constructor(account, csrf, told) {
    Object.assign(this, { account, csrf, told, tries: 0, busy: false, timer: 0 });
    this.prefix = `rather.vote.${account}.`;
    this.entries = stored(this.prefix);
    this.unkept = new Set(); // of these, what waits in this page alone
    addEventListener("online", () => this.flush());
    addEventListener("beforeunload", (event) => this.unkept.size && event.preventDefault());
    if (this.entries.length) this.flush();
  }

  get items() {
    return this.entries.map((entry) => entry.item);
  }

  put(entry) {
    this.entries.push(entry);
    try {
      localStorage.setItem(this.prefix + entry.key, JSON.stringify(entry));
    } catch {
      this.unkept.add(entry); // the browser keeps nothing (a private window, a full disk), so it asks before the page is left
    }
    this.flush();
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    let state = "sending";
    while (this.entries.length && state === "sending") {
      this.told.changed(this.entries.length, this.tries ? "offline" : state);
      state = await this.send(this.entries[0]);
    }
    this.busy = false;
    this.tries = state === "offline" ? this.tries + 1 : 0;
    if (state === "offline") {
      const wait = RETRY_SECONDS[Math.min(this.tries, RETRY_SECONDS.length) - 1];
      this.timer = setTimeout(() => this.flush(), wait * 1000);
    }
    this.told.changed(this.entries.length, state);
  }

  // One vote, once; gives the state that the outbox is in afterwards.
  async send(entry, again = false) {
    const reply = await this.post(entry);
    if (reply === null || reply.status === 429 || reply.status >= 500) return "offline";
    const said = await reply.json().catch(() => null);
    if (said === null) return "offline";
    if (reply.ok) {
      this.drop(entry);
      this.told.accepted(entry, said);
    } else if (reply.status === 401 || said.error.code === "csrf") {
      return !again && (await this.newToken()) ? this.send(entry, true) : "signed-out";
    } else {
      this.drop(entry);
      this.told.refused(entry, said.error.message);
    }
    return "sending";
  }

  async post(entry) {
    const body = new URLSearchParams(entry.body);
    body.set("csrf", this.csrf);
    const headers = { Accept: "application/json" };
    try {
      return await fetch(entry.path, { method: "POST", headers, body, signal: AbortSignal.timeout(20_000) });
    } catch {
      return null; // no connection, or no answer in time: it is sent again
    }
  }

  // The same person may have signed in again in another window.
  async newToken() {
    const reply = await fetch("/api/me").catch(() => null);
    if (!reply?.ok) return false;
    const me = await reply.json();
    if (String(me.id) !== this.account) return false;
    this.csrf = me.csrf;
    return true;
  }

  drop(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.unkept.delete(entry);
    localStorage.removeItem(this.prefix + entry.key);
  }
}

function stored(prefix) {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  return names.map((name) => JSON.parse(localStorage.getItem(name))).sort((one, other) => one.at - other.at);
}
