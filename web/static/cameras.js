// Cameras on the page: the dialog that adds and changes them, the menu of a tile, and the view of all of them.
import { closeStream } from "./api.js";
import { CameraDialog } from "./camera-dialog.js";
import { find } from "./dom.js";
import { openGridView } from "./grid-view.js";
import { Menu } from "./menu.js";

const MENU_WIDE = 220;

/**
 * @param {import("./page.js").Page} page
 * @param {(action: import("./states.js").ActionName, value: string) => Promise<void>} act
 */
export function openCameras(page, act) {
  const { toasts, announcer, actions } = page.parts;
  const dialog = new CameraDialog({
    kept: (stream, added) => {
      announcer.say(added ? `${stream.name} was added` : `${stream.name} was changed`);
      view.show();
      void view.grid.refresh().then(() => view.grid.focus(stream.id));
    },
    removing: (stream) => view.grid.tiles.get(stream.id)?.show(false),
    removed: (stream) => {
      toasts.show(`“${stream.name}” was removed.`);
      void view.grid.refresh();
    },
  });
  const menu = new Menu(find("#camera-menu", HTMLElement));

  /**
   * @param {import("./tile.js").Tile} tile
   * @param {HTMLElement} anchor
   */
  function openMenu({ info, link }, anchor) {
    const box = anchor.getBoundingClientRect();
    const close = async () => {
      view.grid.tiles.get(info.id)?.show(false);
      await closeStream(info.id).catch((error) => actions.fail(error));
      await view.grid.refresh();
    };
    /** @type {import("./menu.js").MenuEntry[]} */
    const entries = [["target", "Open", () => link.click()]];
    if (info.saved) {
      entries.push(["pen", "Change…", () => dialog.edit(info)], ["bin", "Remove…", () => dialog.askToRemove(info)]);
    } else entries.push(["close", "Close", () => void close()]);
    menu.open(info.name || info.id, entries, { x: box.right - MENU_WIDE, y: box.bottom + 4 }, anchor);
  }

  const view = openGridView(page, { act, add: () => dialog.add(), menu: openMenu });
  return { view, dialog };
}
