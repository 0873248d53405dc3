// Dialogs. The browser's Back closes a dialog, and the page below it stays.

/**
 * Open a dialog. Resolves when it has been closed and removed, however it was closed. By then the
 * history is as before, so that the caller may go to another page.
 */
export function openDialog(dialog) {
  return new Promise((resolve) => {
    const below = location.hash;
    const mark = { dialog: crypto.getRandomValues(new Uint32Array(1))[0] };
    const isOurs = () => history.state?.dialog === mark.dialog;
    const byBack = () => isOurs() || dialog.close();
    const end = () => {
      window.removeEventListener("popstate", byBack);
      resolve();
    };
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!isOurs()) return end();
      let wanted = null;
      const arrive = () => {
        if (location.hash !== below) {
          // Somebody went on before the step back was taken, which leads away from there.
          wanted = location.hash;
          return;
        }
        window.removeEventListener("popstate", arrive);
        if (wanted !== null) location.hash = wanted;
        end();
      };
      window.addEventListener("popstate", arrive);
      return history.back();
    });
    document.body.append(dialog);
    history.pushState(mark, "");
    window.addEventListener("popstate", byBack);
    dialog.showModal();
  });
}
