// Where images come from: a drawing, a chosen or a dropped file; and numbers as text.
import {drawing} from "./drawing.js";
import {bring, isInverted, read} from "./picture.js";

export const short = value => value.toPrecision(4).replace("-", "−");

// taken(image, invert) is called with pixels in [0, 1] and whether to turn bright into dark, run(promise) with a file's reading.
export function picker($, shape, metadata, taken, run) {
  let current = null;
  const take = (pixels, isFile) => {
    current = bring(pixels, shape, metadata);
    $("invert").checked = isFile && isInverted(current, metadata);
    taken(current, $("invert").checked);
  };
  const pad = drawing($("canvas"), (metadata.border ?? 0) > .5, () => {
    $("file").value = "";
    take(pad.pixels(), false);
  });
  const open = file => {
    pad.clear();
    run(read(file, metadata).then(pixels => take(pixels, true)));
  };
  $("clear").onclick = () => { $("file").value = ""; pad.clear(); take(pad.pixels(), false); };
  $("file").onchange = () => { if ($("file").files[0]) open($("file").files[0]); };
  $("invert").onchange = () => current && taken(current, $("invert").checked);
  const over = there => $("image").classList.toggle("over", there);
  // A file that misses the field would else replace the page.
  document.addEventListener("dragover", event => { event.preventDefault(); over($("image").contains(event.target)); });
  document.addEventListener("dragleave", () => over(false));
  document.addEventListener("drop", event => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
  // An example was taken instead.
  return () => { current = null; $("file").value = ""; $("invert").checked = false; pad.clear(); };
}
