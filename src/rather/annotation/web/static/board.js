// The page as it is now, twice a minute, or as soon as what is still counted is there. Without this script a link does it.
const EVERY = 30_000;
const SOON = 3_000;

async function renew() {
  if (document.hidden || document.getSelection()?.toString()) return;
  try {
    const reply = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!reply.ok || reply.redirected) return;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html").querySelector(".sheet");
    const held = document.activeElement?.closest(".sheet");
    if (page && !held) document.querySelector(".sheet").replaceWith(page);
  } catch {
    // the network is away; the next round tries again
  }
}

(function wait() {
  setTimeout(() => renew().finally(wait), document.querySelector("[data-again]") ? SOON : EVERY);
})();
