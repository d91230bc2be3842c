// The plane: the codes of examples, images decoded over it, the way from A to B, and the point, which pointers and keys move.
const CELLS = 16, MARGIN = .04, STEPS = 100;

// `view` gives {across, up: dimensions, point, ways: [A, B]}; moved(across, up, held) is called with two values of the code, `held` while a
// pointer is down; home() by the Home key.
export function plane(canvas, {examples, facts, view, moved, home}) {
  const {low, high} = facts.codes, context = canvas.getContext("2d");
  const back = new OffscreenCanvas(1, 1), grid = new OffscreenCanvas(1, 1);
  const colours = new Map((facts.classes ?? []).map(([label, , colour]) => [label, colour]));
  const hidden = new Set();
  let decoded = false, dots = true, filled = false, held = false;
  let paper, ink;  // as the theme has them, or as the decoded images

  // Of a dimension: its least and largest value on the plane.
  function bounds(dimension) {
    const width = high[dimension] - low[dimension], room = width ? MARGIN * width : 1;
    return [low[dimension] - room, high[dimension] + room];
  }
  function place(code) {
    const {across, up} = view(), [left, right] = bounds(across), [bottom, top] = bounds(up);
    return [(code[across] - left) / (right - left) * canvas.width,
            (top - code[up]) / (top - bottom) * canvas.height];
  }
  function colour(name) { return getComputedStyle(canvas).getPropertyValue(name); }

  function background() {
    Object.assign(back, {width: canvas.width, height: canvas.height});
    const on = back.getContext("2d"), scale = canvas.width / 560;
    const images = decoded && filled;
    [paper, ink] = !images ? [colour("--card"), colour("--fg")] :
        facts.metadata.border > .5 ? ["white", "black"] : ["black", "white"];
    on.fillStyle = paper;
    on.fillRect(0, 0, back.width, back.height);
    if (images) {
      on.imageSmoothingEnabled = false;
      on.globalAlpha = dots ? .55 : 1;  // the codes stand out
      on.drawImage(grid, 0, 0, back.width, back.height);
      on.globalAlpha = 1;
    }
    if (dots) {
      on.strokeStyle = paper;
      on.lineWidth = Math.max(.75, scale);
      for (let i = 0; i < examples.count; i++) {
        const label = facts.labels?.[i];
        if (hidden.has(label)) continue;
        const [x, y] = place(examples.codes.subarray(i * examples.size, (i + 1) * examples.size));
        on.fillStyle = colours.get(label) ?? colour("--bar");
        on.beginPath();
        on.arc(x, y, Math.max(2.5, 4 * scale), 0, 7);
        on.fill();
        on.stroke();
      }
    }
    draw();
  }

  function draw() {
    const {point, ways} = view(), unit = canvas.width / canvas.clientWidth;
    context.drawImage(back, 0, 0);
    const double = (path, wide) => {
      for (const [strokeStyle, width] of [[paper, wide + 3], [ink, wide]]) {
        Object.assign(context, {strokeStyle, lineWidth: width * unit});
        context.beginPath();
        path();
        context.stroke();
      }
    };
    context.setLineDash([6 * unit, 5 * unit]);
    const [a, b] = ways.map(place);
    double(() => { context.moveTo(...a); context.lineTo(...b); }, 1.5);
    context.setLineDash([]);
    context.font = `600 ${14 * unit}px system-ui, sans-serif`;
    for (const [name, [x, y]] of [["A", a], ["B", b]]) {
      Object.assign(context, {strokeStyle: paper, fillStyle: ink, lineWidth: 4 * unit});
      context.strokeText(name, x + 6 * unit, y - 6 * unit);
      context.fillText(name, x + 6 * unit, y - 6 * unit);
    }
    // A point beyond the plane is half a ring at its edge.
    const [x, y] = place(point).map(value => Math.min(canvas.width, Math.max(0, value)));
    double(() => { context.arc(x, y, 10 * unit, 0, 7); }, 3);
    double(() => { context.arc(x, y, 1.5 * unit, 0, 7); }, 1.5);
  }

  function resize() {
    canvas.width = canvas.height = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    background();
  }

  function follow(event) {
    const box = canvas.getBoundingClientRect(), {across, up} = view();
    const share = (at, from, length) => Math.min(1, Math.max(0, (at - from) / length));
    const [left, right] = bounds(across), [bottom, top] = bounds(up);
    moved(left + share(event.clientX, box.left, box.width) * (right - left),
          top - share(event.clientY, box.top, box.height) * (top - bottom), held);
  }
  canvas.addEventListener("pointerdown", event => {
    if (event.button || !event.isPrimary) return;  // the menu's, or a second finger
    canvas.setPointerCapture(event.pointerId);
    held = true;
    follow(event);
  });
  canvas.addEventListener("pointermove", event => { if (held && event.isPrimary) follow(event); });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, event => {
      if (!held || !event.isPrimary) return;
      held = false;
      const {across, up, point} = view();
      moved(point[across], point[up], false);
    });
  }
  const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1]};
  canvas.addEventListener("keydown", event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Home") home();
    else if (event.key in arrows) {
      const [x, y] = arrows[event.key], {across, up, point} = view(), far = event.shiftKey ? 10 : 1;
      const step = (dimension, sign) => {
        const [least, most] = bounds(dimension);
        const to = point[dimension] + sign * far * (most - least) / STEPS;
        return sign ? Math.min(most, Math.max(least, to)) : point[dimension];
      };
      moved(step(across, x), step(up, y), false);
    } else return;
    event.preventDefault();
  });
  new ResizeObserver(resize).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", background);

  return {
    draw,
    // Whether the point lies beyond the plane in a dimension.
    beyond(dimension) {
      const {point} = view(), [least, most] = bounds(dimension);
      return point[dimension] < Math.fround(least) || point[dimension] > Math.fround(most);
    },
    // Shows the examples of a class, or hides them; returns which of the two it does.
    toggle(label) {
      const shown = hidden.delete(label);
      if (!shown) hidden.add(label);
      background();
      return shown;
    },
    show(examplesToo, decodedToo) {
      [dots, decoded] = [examplesToo, decodedToo];
      background();
    },
    // The codes at the middles of the cells of one row, the uppermost is 0; the other dimensions are the point's.
    row(index) {
      const {across, up, point} = view(), [left, right] = bounds(across), [bottom, top] = bounds(up);
      return Array.from({length: CELLS}, (_, column) => {
        const code = Float32Array.from(point);
        code[across] = left + (column + .5) / CELLS * (right - left);
        code[up] = top - (index + .5) / CELLS * (top - bottom);
        return code;
      });
    },
    rows: CELLS,
    // Takes the images of a row, canvases of one size.
    fill(index, images) {
      const [{width, height}] = images;
      if (grid.width !== CELLS * width || grid.height !== CELLS * height) {
        Object.assign(grid, {width: CELLS * width, height: CELLS * height});
      }
      images.forEach((image, column) => grid.getContext("2d").drawImage(image, column * width, index * height));
      filled ||= index === CELLS - 1;
      if (index === CELLS - 1) background();
    },
  };
}
