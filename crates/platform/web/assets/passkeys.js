// Passkeys (WebAuthn Level 3). Without this, or in a browser without passkeys, the forms stay hidden and a password
// signs in.
"use strict";
(() => {
  const credentials = window.PublicKeyCredential;
  if (!credentials?.parseCreationOptionsFromJSON || !credentials.parseRequestOptionsFromJSON) return;

  const ask = async (part, form) => {
    const answer = await fetch(part.dataset.options, {
      method: "POST",
      headers: { "accept": "application/json", "x-csrf-token": form.elements.csrf?.value ?? "" },
    });
    const options = await answer.json();
    if (!answer.ok) throw new Error(options.detail);
    if (part.dataset.passkey === "create") {
      return navigator.credentials.create({ publicKey: credentials.parseCreationOptionsFromJSON(options) });
    }
    return navigator.credentials.get({ publicKey: credentials.parseRequestOptionsFromJSON(options) });
  };

  const words = (error) => {
    switch (error.name) {
      case "NotAllowedError": return "No passkey was chosen, or it took too long. Try again.";
      case "InvalidStateError": return "This device has a passkey of this account already.";
      case "SecurityError": return "The browser does not allow passkeys at this address.";
      default: return error.message || "That did not work. Try again.";
    }
  };

  for (const part of document.querySelectorAll("[data-passkey]")) {
    const form = part.querySelector("form");
    const button = form.querySelector("button");
    const told = part.querySelector("[data-passkey-error]");
    const without = part.nextElementSibling;
    if (without?.matches("[data-passkey-without]")) without.hidden = true;
    part.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      told.textContent = "";
      button.disabled = true;
      try {
        const credential = await ask(part, form);
        form.elements.credential.value = JSON.stringify(credential);
        // Not the event again: the form goes as it is.
        form.submit();
      } catch (error) {
        told.textContent = words(error);
        button.disabled = false;
        button.focus();
      }
    });
  }
})();
