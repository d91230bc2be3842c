// Where images come from: a drawing, a chosen or a dropped file; and numbers as text.
import {drawing} from "./drawing.js";
import {bring, isInverted, read} from "./picture.js";

export const short = value => value.toPrecision(4).replace("-", "−");

// taken(image, invert) is called with pixels in [0, 1] and whether to turn bright into dark, run(promise) with a file's reading.
export function picker($, shape, metadata, taken, run) {
  let current = null, asked = 0;
  const hold = image => {
    asked++;  // a file that is still being read comes too late
    current = image;
    $("invert").disabled = !image;
  };
  const take = (pixels, isFile) => {
    hold(bring(pixels, shape, metadata));
    $("invert").checked = isFile && isInverted(current, metadata);
    taken(current, $("invert").checked);
  };
  // Of the images' proportions: what is drawn at an edge would else be cut off.
  const [height, width] = shape, canvas = $("canvas"), long = canvas.width / Math.max(height, width);
  Object.assign(canvas, {height: Math.round(height * long), width: Math.round(width * long)});
  canvas.style.aspectRatio = `${width} / ${height}`;
  const pad = drawing(canvas, (metadata.border ?? 0) > .5, () => take(pad.pixels(), false));
  const open = file => {
    const mine = ++asked;
    run(read(file, metadata).then(pixels => {
      if (mine !== asked) return;
      pad.clear();
      take(pixels, true);
    }));
  };
  $("clear").onclick = () => { pad.clear(); take(pad.pixels(), false); };
  $("file").onchange = () => {
    const [file] = $("file").files;
    $("file").value = "";  // the same file may be chosen again
    if (file) open(file);
  };
  $("invert").onchange = () => taken(current, $("invert").checked);
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
  return () => { hold(null); $("invert").checked = false; pad.clear(); };
}
