// Drawing on a canvas with mouse, pen or finger; ink and paper as in the images of the training.
export function drawing(canvas, bright, changed) {
  const [paper, ink] = bright ? ["white", "black"] : ["black", "white"];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  let last = null;
  function clear() {
    context.fillStyle = paper;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  function line(event) {
    const box = canvas.getBoundingClientRect();
    const point = [(event.clientX - box.left) * canvas.width / box.width,
                   (event.clientY - box.top) * canvas.height / box.height];
    Object.assign(context, {strokeStyle: ink, lineWidth: canvas.width / 12, lineCap: "round"});
    context.beginPath();
    context.moveTo(...(last ?? point));
    context.lineTo(...point);
    context.stroke();
    last = point;
    changed();
  }
  canvas.addEventListener("pointerdown", event => {
    if (event.button || !event.isPrimary) return;  // the menu's, or a second finger
    canvas.setPointerCapture(event.pointerId);
    line(event);
  });
  canvas.addEventListener("pointermove", event => { if (last && event.isPrimary) line(event); });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, event => { if (event.isPrimary) last = null; });
  }
  clear();
  return {clear, pixels: () => context.getImageData(0, 0, canvas.width, canvas.height)};
}
