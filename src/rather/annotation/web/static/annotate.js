// The task page for people who judge many: keys, the next tasks fetched ahead, votes that wait for the network, undo, views.
// Without this file every page is a plain form that votes as well.

import { canMark, clearDifferences, markDifferences } from "./differences.js";
import { keysDialog, meaning, showKeys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Ranking } from "./ranking.js";

const AHEAD = 2; // tasks fetched before they are needed
const MOST_UNDONE = 20;
const LOOK_AGAIN_SECONDS = 30;
const BREAK_AFTER_MINUTES = 45;
const A_BREAK_SECONDS = 180;

const work = document.getElementById("work");
const notices = document.getElementById("notices");
const texts = JSON.parse(work.dataset.texts);
const feedback = JSON.parse(work.dataset.feedback);
const root = document.documentElement;

let form = work.querySelector("form.task"); // the task that is shown
let ranking = null;
const ahead = []; // forms of the next tasks
const voted = []; // forms voted on since the page was opened, for undo
const views = { differences: false, together: true, source: false, ...stored("rather.views") };

// ── What is said ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

const say = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

// A line above the task; one of a kind at a time. `stays`: until it is taken away or closed.
function notice(kind, text, { stays = false, buttons = [] } = {}) {
  const before = notices.querySelector(`[data-kind="${kind}"]`);
  if (before?.firstChild.data === text && stays) return; // said already
  before?.remove();
  const line = document.createElement("p");
  line.className = stays ? "notice" : "notice brief";
  line.dataset.kind = kind;
  line.append(text, ...buttons.map(([label, act]) => button(label, () => (line.remove(), act()))));
  notices.append(line);
  if (!stays) setTimeout(() => line.remove(), 4000);
}

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", act);
  return made;
}

function stored(name) {
  return JSON.parse(localStorage.getItem(name) ?? "{}");
}

// ── The time a task takes: only while somebody can look at it ───────────────────────────────────────────────────────────────────

const clock = {
  passed: 0, since: performance.now(), running: true, worked: 0, stoppedAt: 0, all: [],
  get seconds() {
    return (this.passed + (this.running ? performance.now() - this.since : 0)) / 1000;
  },
  begin() {
    Object.assign(this, { passed: 0, since: performance.now() });
  },
  run(on) {
    if (on === this.running) return;
    if (on && performance.now() - this.stoppedAt > A_BREAK_SECONDS * 1000) this.worked = 0;
    if (!on) this.passed = this.seconds * 1000;
    Object.assign(this, { running: on, since: performance.now(), stoppedAt: performance.now() });
  },
  count(seconds) {
    this.worked += seconds;
    this.all = [...this.all, seconds].slice(-20);
    const pace = document.getElementById("pace");
    const value = pace.querySelector("dd");
    const median = [...this.all].sort((a, b) => a - b)[this.all.length >> 1];
    pace.hidden = this.all.length < 3;
    value.textContent = value.dataset.text.replace("{seconds}", Math.max(1, Math.round(median)));
    if (this.worked > BREAK_AFTER_MINUTES * 60) {
      const buttons = [[texts.break_take, pause], [texts.break_later, () => (this.worked = 0)]];
      notice("break", say("break_due", { minutes: Math.round(this.worked / 60) }), { stays: true, buttons });
    }
  },
};

function pause() {
  clock.run(false);
  document.getElementById("paused").showModal();
}

// ── Votes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const outbox = new Outbox(work.dataset.account, work.dataset.csrf, {
  accepted(entry, { receipt, progress }) {
    document.getElementById("yours").textContent = progress.voted;
    const all = document.getElementById("all");
    all.textContent = all.dataset.text.replace("{finished}", progress.finished).replace("{items}", progress.items);
    Object.assign(document.getElementById("bar"), { max: progress.items || 1, value: progress.finished });
    if (receipt.right !== null) {
      const text = (receipt.right ? feedback.right : feedback.wrong) + (receipt.why ? ` ${receipt.why}` : "");
      notice("gold", text, { stays: !receipt.right, buttons: receipt.right ? [] : [["×", () => {}]] });
    }
  },
  refused(entry, message) {
    notice("refused", say("refused", { message }), { stays: true, buttons: [["×", () => {}]] });
  },
  changed(count, state) {
    const waited = notices.querySelector('[data-kind="waiting"]');
    if (count && state === "offline") notice("waiting", say("waiting", { count }), { stays: true });
    else if (count && state === "signed-out") notice("waiting", say("sign_in_again", { count }), { stays: true });
    else if (!count) {
      if (waited) notice("sent", texts.sent_late);
      waited?.remove();
      if (waited || !form) refill();
    }
  },
});

work.addEventListener("submit", (event) => {
  event.preventDefault();
  const skipped = event.submitter?.value === "skip";
  if (ranking && !skipped && ranking.ranked < 2) return notice("rank", texts.rank_two);
  const body = new URLSearchParams(new FormData(form, event.submitter));
  const seconds = Math.min(clock.seconds, 86_400);
  body.delete("csrf");
  body.set("seconds", seconds.toFixed(3));
  forget(form);
  clock.count(seconds);
  const { item } = form.dataset;
  outbox.put({ item, path: new URL(form.action).pathname, body: String(body), key: body.get("key"), at: Date.now() });
  remember(form, event.submitter, skipped);
  show(ahead.shift() ?? null);
  refill();
});

function remember(done, submitter, skipped) {
  done.dataset.skipped = skipped ? "yes" : "";
  if (skipped) done.querySelector(".cannot").open = false;
  done.querySelector('[aria-current="true"]')?.removeAttribute("aria-current");
  if (submitter?.name === "verdict") submitter.setAttribute("aria-current", "true");
  voted.push(done);
  if (voted.length > MOST_UNDONE) voted.shift();
}

// The last task again. Its vote or skip stands until another vote takes its place.
function undo() {
  const last = voted.pop();
  if (!last) return notice("undo", texts.nothing_to_undo);
  last.action = `/votes/${last.dataset.item}`;
  last.elements.namedItem("key").value = newKey();
  if (!last.dataset.skipped) last.querySelector(".cannot")?.remove();
  if (form) ahead.unshift(form);
  show(last);
  notice("undo", last.dataset.skipped ? texts.undone_skip : texts.undone);
}

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// ── Tasks ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

let refilling = false;

async function refill() {
  if (refilling) return;
  refilling = true;
  let found = true;
  while (found && ahead.length < AHEAD + (form ? 0 : 1)) {
    found = await fetchNext();
    if (found) ahead.push(found);
    if (!form && ahead.length) show(ahead.shift());
  }
  refilling = false;
  if (!form && found === null && !outbox.entries.length && work.querySelector(".waiting")) await showNothing();
}

// What the server says where there is nothing to do.
async function showNothing() {
  const reply = await fetch("/task").catch(() => null);
  if (!reply?.ok || reply.redirected) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  if (form) return;
  work.replaceChildren(...document.adoptNode(page.getElementById("work")).childNodes);
  form = work.querySelector("form.task");
  if (form) enhance();
}

// A form; null where there is none; undefined without a connection.
async function fetchNext() {
  const held = [form, ...ahead].filter(Boolean).map((one) => one.dataset.item);
  const reply = await fetch(`/task/next?holding=${[...held, ...outbox.items].join()}`).catch(() => null);
  if (reply?.redirected && !form && !outbox.entries.length) location.assign("/sign-in");
  if (!reply?.ok || reply.redirected) return undefined;
  if (reply.status === 204) return null;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  return document.adoptNode(page.querySelector("form.task"));
}

function show(next) {
  form = next;
  clearDifferences();
  if (!form) {
    const line = document.createElement("p");
    line.className = "card nothing waiting";
    line.textContent = navigator.onLine ? texts.loading : texts.no_more_here;
    return work.replaceChildren(line);
  }
  work.replaceChildren(form);
  if (location.pathname !== "/task") history.replaceState(null, "", "/task");
  scrollTo(0, 0);
  enhance();
  clock.begin();
}

const ready = new WeakMap(); // what was built for a form, once

function enhance() {
  if (!ready.has(form)) {
    ready.set(form, form.dataset.kind === "rank" ? new Ranking(form) : null);
    recall(form);
    form.addEventListener("input", () => draft(form));
    for (const body of form.querySelectorAll(".answer .body")) body.addEventListener("scroll", () => scrollOthers(body));
    form.querySelector(".aspect")?.classList.add("now");
  }
  ranking = ready.get(form);
  showKeys(form);
  applyViews();
  for (const body of form.querySelectorAll(".body")) body.scrollTop = 0;
}

// ── What somebody is writing survives a reload ─────────────────────────────────────────────────────────────────────────────────

const draftOf = (one) => `rather.draft.${work.dataset.account}.${one.dataset.item}`;

function draft(one) {
  const written = [...one.querySelectorAll("textarea")].map((area) => [area.name, area.value]);
  sessionStorage.setItem(draftOf(one), JSON.stringify(written));
}

function recall(one) {
  for (const [name, value] of JSON.parse(sessionStorage.getItem(draftOf(one)) ?? "[]")) {
    const area = one.querySelector(`textarea[name="${name}"]`);
    if (area) area.value = value;
    if (name === "comment" && value) one.querySelector("details.comment").open = true;
  }
}

const forget = (one) => sessionStorage.removeItem(draftOf(one));

// ── Views ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

function toggle(view) {
  views[view] = !views[view];
  localStorage.setItem("rather.views", JSON.stringify(views));
  const marks = applyViews();
  const same = view === "differences" && views.differences && marks === 0;
  notice("view", same ? texts.differences_none : texts[`${view}_${views[view] ? "on" : "off"}`]);
}

function applyViews() {
  for (const [view, on] of Object.entries(views)) {
    document.querySelector(`.tools [data-act="${view}"]`)?.setAttribute("aria-pressed", String(on));
  }
  for (const source of work.querySelectorAll(".source")) {
    source.hidden = !views.source;
    source.previousElementSibling.hidden = views.source;
  }
  const bodies = [...work.querySelectorAll(".answer .body")];
  if (views.differences && canMark && bodies.length > 1) return markDifferences(bodies);
  return clearDifferences();
}

function changeLayout() {
  root.dataset.layout = root.dataset.layout === "side" ? "stacked" : "side";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const [language] = (/rather-look=([^;]*)/.exec(document.cookie)?.[1] ?? "").split(".");
  const look = `${language}.${root.dataset.theme}.${root.dataset.layout}`;
  document.cookie = `rather-look=${look}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

let scrolling = null; // the answer that leads, while others follow

function scrollOthers(body) {
  if (!views.together || (scrolling && scrolling !== body)) return;
  scrolling = body;
  const share = body.scrollTop / Math.max(1, body.scrollHeight - body.clientHeight);
  for (const other of form.querySelectorAll(".answer .body")) {
    if (other !== body) other.scrollTop = share * (other.scrollHeight - other.clientHeight);
  }
  clearTimeout(scrollOthers.timer);
  scrollOthers.timer = setTimeout(() => (scrolling = null), 80);
}

// Keys that scroll a page scroll the answers, where those scroll and not the page.
function scrollByKey(event) {
  const body = form?.querySelector(".answer .body");
  const way = { ArrowDown: 60, ArrowUp: -60, PageDown: body?.clientHeight, PageUp: -body?.clientHeight }[event.key];
  if (!way || event.target !== document.body || body.scrollHeight <= body.clientHeight) return false;
  scrolling = null;
  for (const one of views.together ? [body] : form.querySelectorAll(".answer .body")) one.scrollBy({ top: way });
  return true;
}

// ── Keys ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const dialog = keysDialog();
const doing = {
  undo, pause,
  layout: changeLayout,
  differences: () => toggle("differences"),
  together: () => toggle("together"),
  source: () => toggle("source"),
  unrank: () => ranking?.unrank(),
  guidelines: () => location.assign("/guidelines"),
  help_action: () => dialog.showModal(),
  send: () => form?.querySelector(".send")?.click(),
  skip: () => open(".cannot", "input"),
  comment: () => open(".comment", "textarea"),
};

function open(details, field) {
  const part = form?.querySelector(details);
  if (!part) return;
  part.open = true;
  part.querySelector(field).focus();
}

function number(pressed, tie) {
  const reasons = form.querySelector(".cannot[open] .reasons");
  if (reasons?.contains(document.activeElement)) return reasons.querySelectorAll("input")[pressed - 1]?.click();
  if (ranking) return pressed <= ranking.selects.length && pressed > 0 && ranking.pick(pressed - 1, tie);
  if (form.dataset.kind === "rate") return score(pressed);
  form.querySelector(`[data-number="${pressed}"]`)?.click();
}

// The score of the first aspect that has none, or of the one with the focus; then on to the next.
function score(pressed) {
  const aspects = [...form.querySelectorAll(".aspect")];
  const chosen = document.activeElement.closest?.(".aspect") ?? form.querySelector(".aspect.now") ?? aspects[0];
  const radio = chosen.querySelector(`input[value="${pressed || 10}"]`) ?? chosen.querySelector(`input[value="${pressed}"]`);
  if (!radio) return;
  radio.checked = true;
  const next = aspects[aspects.indexOf(chosen) + 1];
  for (const aspect of aspects) aspect.classList.toggle("now", aspect === next);
  if (next) (next.querySelector("input:checked") ?? next.querySelector("input")).focus();
  else form.querySelector(".send").focus();
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const meant = meaning(event);
  if (!meant) return void (scrollByKey(event) && event.preventDefault());
  if (!form && !["help_action", "undo", "pause"].includes(meant.action)) return;
  event.preventDefault();
  if (event.repeat) return;
  if (meant.action === undefined) number(meant.number, meant.tie);
  else if (doing[meant.action]) doing[meant.action]();
  else form.querySelector(`button[data-act="${meant.action}"]`)?.click();
});

document.querySelector(".tools").addEventListener("click", (event) => {
  doing[event.target.closest("[data-act]")?.dataset.act]?.();
});
document.getElementById("paused").addEventListener("close", () => clock.run(true));
document.addEventListener("visibilitychange", () => clock.run(!document.hidden && !document.querySelector("#paused[open]")));

// ── Begin ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

document.querySelector(".tools").hidden = false;
document.querySelector('.tools [data-act="differences"]').hidden = !canMark;
root.classList.add("script");
showKeys();
if (form && outbox.items.includes(form.dataset.item) && form.action.endsWith("/task")) show(null);
else if (form) enhance();
refill();
setInterval(() => !form && refill(), LOOK_AGAIN_SECONDS * 1000);
addEventListener("online", refill);
