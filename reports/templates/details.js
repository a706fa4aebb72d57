// Opens the details of a case in a dialog: they are packed in the page, and unpacked when the first one is asked for. The
// address's fragment has the open case beside the view of the tables.
"use strict";
(() => {
  const dialog = document.getElementById("case");
  if (!dialog) return;
  let unpacked; // a promise of the details of all cases
  const details = () => unpacked ??= (async () => {
    const bytes = Uint8Array.from(atob(dialog.dataset.packed), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  })();
  const view = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const show = async (id) => {
    const html = (await details())[id];
    if (html === undefined) return;
    dialog.innerHTML = html; // made and escaped by the report; the page's policy runs no script in it
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelector("h2").focus();
  };
  // Shows the case that the address names, or none.
  const follow = () => {
    const wanted = view().get("case") ?? /^#(case-\d+)$/.exec(location.hash)?.[1];
    if (wanted) show(wanted);
    else if (dialog.open) dialog.close();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#case-"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const now = view();
    now.set("case", link.hash.slice(1));
    history.pushState({ opened: true }, "", `#${now}`);
    show(link.hash.slice(1));
  });
  dialog.addEventListener("click", ({ target }) => {
    if (target.closest("[data-close]") || target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    const now = view();
    if (!now.has("case")) return;
    if (history.state?.opened) return history.back();
    now.delete("case");
    history.replaceState(null, "", now.size ? `#${now}` : location.pathname + location.search);
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("DOMContentLoaded", follow);
})();
