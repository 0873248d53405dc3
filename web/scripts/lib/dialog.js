// Dialogs: the browser's Back closes one, and what it was opened over stays.

/**
 * Open a dialog; resolves when it is closed, by whatever, and gone. By then the history is what it
 * was before, so that the caller may go elsewhere.
 */
export function openDialog(dialog) {
  return new Promise((resolve) => {
    const mark = { dialog: crypto.getRandomValues(new Uint32Array(1))[0] };
    const isOurs = () => history.state?.dialog === mark.dialog;
    const byBack = () => isOurs() || dialog.close();
    const end = () => {
      window.removeEventListener("popstate", byBack);
      dialog.remove();
      resolve();
    };
    dialog.addEventListener("close", () => {
      if (!isOurs()) return end();
      window.addEventListener("popstate", end, { once: true });
      return history.back();
    });
    document.body.append(dialog);
    history.pushState(mark, "");
    window.addEventListener("popstate", byBack);
    dialog.showModal();
  });
}
