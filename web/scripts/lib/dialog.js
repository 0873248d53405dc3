// Dialogs. The browser's Back closes a dialog, and the page below it stays.

/**
 * Open a dialog. Resolves when it has been closed and removed, however it was closed. By then the
 * history is as before, so that the caller may go to another page.
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
