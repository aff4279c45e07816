// Keeps what is under way up to date. Pages say all without it; then the browser reloads them.
"use strict";
(() => {
  const every = 1000;
  const parser = new DOMParser();
  const refresh = async () => {
    const old = document.querySelector("[data-live]");
    if (!old) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (!answer.ok || answer.redirected) return;
        const page = parser.parseFromString(await answer.text(), "text/html");
        const fresh = page.querySelector("[data-live]");
        if (!fresh) {
          // It has ended: more than this part of the page is another now.
          location.reload();
          return;
        }
        // What is in use is left alone, so that the keyboard does not lose its place.
        if (!old.contains(document.activeElement)) old.replaceChildren(...fresh.childNodes);
      } catch {
        // The service does not answer; it is asked again.
      }
    }
    setTimeout(refresh, every);
  };
  setTimeout(refresh, every);

  // The name of a file is a good name for its data set.
  const file = document.querySelector('input[type="file"][name="file"]');
  const name = file && file.form.elements.namedItem("name");
  if (file && name) {
    file.addEventListener("change", () => {
      if (name.value || !file.files.length) return;
      const stem = file.files[0].name.replace(/\.[^.]*$/, "");
      name.value = stem.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "").slice(0, 100);
    });
  }
})();
