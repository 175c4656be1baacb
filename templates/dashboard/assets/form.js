// The form for a new pod: the manifest follows the input, and the server checks it. Without a script the
// button does the same.

const form = document.getElementById("form");
const manifest = document.getElementById("manifest");
const checked = document.getElementById("checked");

let due = 0, latest = 0;
async function check() {
  const mine = ++latest;
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      credentials: "same-origin",
      headers: { accept: "text/html" },
    });
    if (!answer.ok || mine !== latest) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const text = fresh.getElementById("manifest");
    if (!text) return;
    if (manifest.textContent !== text.textContent) manifest.textContent = text.textContent;
    const verdict = fresh.getElementById("checked");
    if (verdict.innerHTML !== checked.innerHTML) checked.replaceChildren(...verdict.childNodes);
  } catch {
    // Still typing; the next key checks again.
  }
}
if (form) {
  form.addEventListener("input", (event) => {
    // The subdomain follows the tenant until somebody chooses another.
    const { tenant, subdomain } = form.elements;
    if (event.target === subdomain) subdomain.dataset.own = "yes";
    if (event.target === tenant && !subdomain.dataset.own && (!subdomain.value || subdomain.value === subdomain.dataset.follows)) {
      subdomain.value = subdomain.dataset.follows = tenant.value;
    }
    clearTimeout(due);
    due = setTimeout(check, 250);
  });
  document.getElementById("copy").addEventListener("click", async (event) => {
    const button = event.currentTarget, label = button.querySelector("span");
    try {
      await navigator.clipboard.writeText(manifest.textContent);
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(manifest);
      label.textContent = "Selected";
    }
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}
